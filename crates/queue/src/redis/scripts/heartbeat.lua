-- Leased -> Leased. ARGV: class, entry, id, consumer, '1' if progress follows, progress.
-- Claiming one's own entry sets its idle time to zero; JUSTID leaves its delivery count alone.
local class, entry, id, consumer = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local answer = hold(class, entry, id, consumer)
if answer == 'held' then
  redis.call('XCLAIM', line(class), GROUP, consumer, 0, entry, 'JUSTID')
  if ARGV[5] == '1' then redis.call('HSET', task_key(id), 'm', ARGV[6]) end
end
return answer
