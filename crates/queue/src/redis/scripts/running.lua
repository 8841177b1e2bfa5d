-- ARGV: class, where to begin, how many to look at. Answers {where to go on or '', {id, job, attempt, holder,
-- milliseconds since it was claimed, milliseconds since its last heartbeat, progress or false}...}.
local class, look = ARGV[1], tonumber(ARGV[3])
ensure(class)
local now = now_ms()
local pending = redis.call('XPENDING', line(class), GROUP, ARGV[2], '+', look)
local answer = { '' }
if #pending == look then answer[1] = '(' .. pending[#pending][1] end
for _, p in ipairs(pending) do
  local entry = redis.call('XRANGE', line(class), p[1], p[1])[1]
  if entry then
    local id = entry[2][2]
    local task = redis.call('HMGET', task_key(id), 'e', 's', 'j', 'n', 'at', 'm')
    if task[1] == p[1] and task[2] == 'leased' then
      answer[#answer + 1] = { id, task[3], tonumber(task[4]), p[2], math.max(0, now - tonumber(task[5])), p[3], task[6] }
    end
  end
end
return answer
