-- Answers for each class: ready, leased, delayed, dead, and the age of the first in the line in milliseconds or -1.
local answer = {}
for i, class in ipairs(CLASSES) do
  ensure(class)
  local n = redis.call('HMGET', COUNTS, class .. ':ready', class .. ':leased', class .. ':delayed', class .. ':dead')
  local age = -1
  local head = redis.call('XRANGE', line(class), '(' .. last_delivered(class), '+', 'COUNT', 1)[1]
  if head and tonumber(n[1] or '0') > 0 then
    age = math.max(0, now_ms() - tonumber(string.match(head[1], '^%d+')))
  end
  answer[i] = { tonumber(n[1] or '0'), tonumber(n[2] or '0'), tonumber(n[3] or '0'), tonumber(n[4] or '0'), age }
end
return answer
