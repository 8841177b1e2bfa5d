-- Ready -> Leased. ARGV: consumer, then the classes in the order to look. Answers {1, lease...}, or {0, milliseconds
-- until the next delayed task or -1}, or {2} when there were so many ghosts that it should be asked again.
local consumer = ARGV[1]
wake(100)
for i = 2, #ARGV do
  local class = ARGV[i]
  ensure(class)
  for round = 1, 200 do
    local got = redis.call('XREADGROUP', 'GROUP', GROUP, consumer, 'COUNT', 1, 'STREAMS', line(class), '>')
    if not got then break end
    local entry = got[1][2][1]
    local lease = accept(class, entry[1], entry[2][2])
    if lease then return { 1, unpack(lease) } end
    if round == 200 then return { 2 } end
  end
end
local next = redis.call('ZRANGE', DELAYED, 0, 0, 'WITHSCORES')
if not next[2] then return { 0, -1 } end
return { 0, math.max(0, tonumber(next[2]) - now_ms()) }
