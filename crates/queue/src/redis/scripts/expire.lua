-- Leased -> Ready or Dead, for holders not heard of. ARGV: class, where to go on, how many, lease in milliseconds,
-- limit of failures, notices kept, reason. Answers {where to go on, {id, job, attempt, fate}...}.
local class, limit = ARGV[1], tonumber(ARGV[5])
wake(1000)
ensure(class)
-- Ghosts at the head of the line would look like work to an autoscaler.
for _ = 1, 1000 do
  local head = redis.call('XRANGE', line(class), '(' .. last_delivered(class), '+', 'COUNT', 1)[1]
  if not head or redis.call('HGET', task_key(head[2][2]), 'e') == head[1] then break end
  redis.call('XREADGROUP', 'GROUP', GROUP, '@coordinator', 'COUNT', 1, 'STREAMS', line(class), '>')
  drop(class, head[1])
end
local found = redis.call('XAUTOCLAIM', line(class), GROUP, '@coordinator', ARGV[4], ARGV[2], 'COUNT', ARGV[3])
local answer = { found[1] }
for _, pending in ipairs(found[2]) do
  local entry, id = pending[1], pending[2][2]
  local task = redis.call('HMGET', task_key(id), 'e', 's', 'j', 'n')
  drop(class, entry)
  if task[1] == entry and task[2] == 'ready' then
    -- Delivered, but its consumer never learned of it: nobody's failure.
    push(class, id)
  elseif task[1] == entry then
    local fate = 'ready'
    if redis.call('HINCRBY', task_key(id), 'f', 1) < limit then
      push(class, id)
      count(class, 'leased', 'ready')
    else
      fate = 'dead'
      bury(ARGV[6], id, task[3], class, task[4], ARGV[7])
    end
    answer[#answer + 1] = { id, task[3], tonumber(task[4]), fate }
  end
end
return answer
