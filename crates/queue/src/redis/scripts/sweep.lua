-- Removes consumers that hold nothing and have not asked for long: workers come and go, their names must not pile up.
-- ARGV: how long, in milliseconds.
for _, class in ipairs(CLASSES) do
  ensure(class)
  for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', line(class), GROUP)) do
    local is = {}
    for i = 1, #consumer, 2 do is[consumer[i]] = consumer[i + 1] end
    if is.pending == 0 and is.idle > tonumber(ARGV[1]) then
      redis.call('XGROUP', 'DELCONSUMER', line(class), GROUP, is.name)
    end
  end
end
return 1
