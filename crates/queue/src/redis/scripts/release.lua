-- Leased -> Ready; also gives back a delivery that was never accepted. ARGV: class, entry, id, consumer.
local class, entry, id = ARGV[1], ARGV[2], ARGV[3]
local answer = hold(class, entry, id, ARGV[4])
if answer == 'lost' then return answer end
drop(class, entry)
if answer == 'held' then
  if redis.call('HGET', task_key(id), 's') == 'leased' then count(class, 'leased', 'ready') end
  push(class, id)
end
return answer
