-- Leased -> Delayed or Dead. ARGV: class, entry, id, consumer, notices kept, message, '1' if retryable, limit of
-- failures, delay in milliseconds. Answers retry, dead, lost or cancelled.
local class, entry, id, message = ARGV[1], ARGV[2], ARGV[3], ARGV[6]
local answer = hold(class, entry, id, ARGV[4])
if answer == 'lost' then return answer end
drop(class, entry)
if answer == 'cancelled' then return answer end
local failures = redis.call('HINCRBY', task_key(id), 'f', 1)
local task = redis.call('HMGET', task_key(id), 'j', 'n')
if ARGV[7] == '1' and failures < tonumber(ARGV[8]) then
  redis.call('HSET', task_key(id), 's', 'delayed', 'e', '', 'w', message)
  redis.call('ZADD', DELAYED, now_ms() + tonumber(ARGV[9]), id)
  count(class, 'leased', 'delayed')
  return 'retry'
end
bury(ARGV[5], id, task[1], class, task[2], message)
return 'dead'
