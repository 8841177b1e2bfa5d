-- Finds a delivery of this consumer whose answer was lost on the way. ARGV: consumer, then the entries that it knows
-- it holds, as class.entry. Answers a lease or false.
local consumer = ARGV[1]
local known = {}
for i = 2, #ARGV do known[ARGV[i]] = true end
for _, class in ipairs(CLASSES) do
  ensure(class)
  local pending = redis.call('XPENDING', line(class), GROUP, '-', '+', 10000, consumer)
  for _, p in ipairs(pending) do
    if not known[class .. '.' .. p[1]] then
      local entry = redis.call('XRANGE', line(class), p[1], p[1])[1]
      if entry then
        local lease = accept(class, entry[1], entry[2][2])
        if lease then return lease end
      end
    end
  end
end
return false
