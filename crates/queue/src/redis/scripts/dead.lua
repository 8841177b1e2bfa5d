-- ARGV: job, id to begin after or '', how many. Answers {id, class, payload, attempts, failures, reason}...
local from = '-'
if ARGV[2] ~= '' then from = '(' .. ARGV[2] end
local answer = {}
for _, id in ipairs(redis.call('ZRANGE', dead_key(ARGV[1]), from, '+', 'BYLEX', 'LIMIT', 0, ARGV[3])) do
  local task = redis.call('HMGET', task_key(id), 'c', 'p', 'n', 'f', 'w')
  answer[#answer + 1] = { id, task[1], task[2], tonumber(task[3]), tonumber(task[4]), task[5] }
end
return answer
