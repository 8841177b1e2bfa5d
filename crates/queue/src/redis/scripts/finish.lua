-- Leased -> Absent. ARGV: class, entry, id, consumer, notices kept, note.
local class, entry, id = ARGV[1], ARGV[2], ARGV[3]
local answer = hold(class, entry, id, ARGV[4])
if answer == 'lost' then return answer end
drop(class, entry)
if answer == 'held' then
  local task = redis.call('HMGET', task_key(id), 'j', 'n')
  remove(id, task[1], class, 'leased')
  notice(ARGV[5], id, task[1], task[2], 'done', ARGV[6])
end
return answer
