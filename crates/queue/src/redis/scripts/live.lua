-- ARGV: ids. Answers the state of each, or false.
local states = {}
for i, id in ipairs(ARGV) do states[i] = redis.call('HGET', task_key(id), 's') end
return states
