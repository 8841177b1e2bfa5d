-- Absent -> Ready. ARGV: id, job, class, payload, and again. Answers the places (from 1) of those that were new.
local new = {}
born()
for i = 1, #ARGV, 4 do
  local id, job, class, payload = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  if redis.call('EXISTS', task_key(id)) == 0 then
    redis.call('HSET', task_key(id), 'j', job, 'c', class, 'p', payload, 'n', 0, 'f', 0)
    redis.call('SADD', job_key(job), id)
    push(class, id)
    count(class, nil, 'ready')
    new[#new + 1] = (i + 3) / 4
  end
end
return new
