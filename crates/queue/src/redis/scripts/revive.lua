-- Dead -> Ready with a new budget. ARGV: ids. Answers the places (from 1) of those that were dead.
local revived = {}
for i, id in ipairs(ARGV) do
  local task = redis.call('HMGET', task_key(id), 's', 'j', 'c')
  if task[1] == 'dead' then
    redis.call('ZREM', dead_key(task[2]), id)
    redis.call('HSET', task_key(id), 'f', 0)
    push(task[3], id)
    count(task[3], 'dead', 'ready')
    revived[#revived + 1] = i
  end
end
return revived
