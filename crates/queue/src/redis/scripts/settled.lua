-- ARGV: the reader's life of the queue and the last number it read, how many. Answers {life, first number wanted,
-- notices ever left, entries}.
local life = born()
local last = tonumber(redis.call('HGET', META, 'notices') or '0')
local from = 1
if ARGV[1] == life and tonumber(ARGV[2]) <= last then from = tonumber(ARGV[2]) + 1 end
local entries = redis.call('XRANGE', NOTICES, from .. '-0', '+', 'COUNT', ARGV[3])
return { life, from, last, entries }
