-- Ready, Delayed -> Absent (withdraw), or any -> Absent (forget). ARGV: verb, job, ids. Answers how many.
local verb, job, removed = ARGV[1], ARGV[2], 0
for i = 3, #ARGV do
  local id = ARGV[i]
  local task = redis.call('HMGET', task_key(id), 's', 'c', 'j')
  local waits = task[1] == 'ready' or task[1] == 'delayed'
  if task[3] == job and (waits or verb == 'forget') then
    remove(id, job, task[2], task[1])
    removed = removed + 1
  end
end
return removed
