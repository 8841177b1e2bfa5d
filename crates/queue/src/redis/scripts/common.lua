-- What all scripts share; put before each of them. The keys are described in redis.rs, the arrows in lifecycle.rs.
-- KEYS[1] is the queue's hash tag, such as "{gristmill}": every key begins with it, so all live in one slot.
local base = KEYS[1]
local GROUP = 'workers'
local CLASSES = { 'high', 'normal', 'low' }
local COUNTS, DELAYED, NOTICES, META = base .. ':counts', base .. ':delayed', base .. ':notices', base .. ':meta'

local function task_key(id) return base .. ':task:' .. id end
local function job_key(job) return base .. ':job:' .. job end
local function dead_key(job) return base .. ':dead:' .. job end
local function line(class) return base .. ':ready:' .. class end

-- The server's clock: the only one that judges leases and delays.
local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- The line of a class is made with its group; after FLUSHALL it is made again.
local function ensure(class)
  if redis.call('EXISTS', line(class)) == 0 then
    redis.call('XGROUP', 'CREATE', line(class), GROUP, '0', 'MKSTREAM')
  end
end

-- This life of the queue: FLUSHALL ends it. Readers of notices compare it.
local function born()
  local known = redis.call('HGET', META, 'born')
  if not known then
    local t = redis.call('TIME')
    known = t[1] .. '-' .. t[2]
    redis.call('HSET', META, 'born', known)
  end
  return known
end

-- Moves a task between states; from or to is nil for Absent.
local function count(class, from, to)
  if from then redis.call('HINCRBY', COUNTS, class .. ':' .. from, -1) end
  if to then redis.call('HINCRBY', COUNTS, class .. ':' .. to, 1) end
end

-- Puts a task at the end of its line under a new entry, which is what names its next delivery.
local function push(class, id)
  ensure(class)
  local entry = redis.call('XADD', line(class), '*', 't', id)
  redis.call('HSET', task_key(id), 's', 'ready', 'e', entry)
end

-- Id of the entry that the group was handed last.
local function last_delivered(class)
  local groups = redis.call('XINFO', 'GROUPS', line(class))
  for _, group in ipairs(groups) do
    for i = 1, #group, 2 do
      if group[i] == 'last-delivered-id' then return group[i + 1] end
    end
  end
end

-- Ends a delivery: acknowledges and deletes its entry, so that a line holds nothing that is over.
-- The one entry that must stay a while is the last one delivered: the server cannot tell the group's lag (which
-- autoscalers read) while a deleted entry lies at or behind it. It is deleted when a later one has been delivered.
local function drop(class, entry)
  ensure(class)
  redis.call('XACK', line(class), GROUP, entry)
  local last = last_delivered(class)
  local kept = redis.call('HGET', META, 'kept:' .. class)
  if kept and kept ~= last then
    redis.call('XDEL', line(class), kept)
    redis.call('HDEL', META, 'kept:' .. class)
  end
  if entry == last then
    redis.call('HSET', META, 'kept:' .. class, entry)
  else
    redis.call('XDEL', line(class), entry)
  end
end

-- Hands a delivered entry to its consumer. An entry whose task was removed, or enqueued again since, is a ghost:
-- it is dropped and nil returned.
local function accept(class, entry, id)
  local task = redis.call('HMGET', task_key(id), 'e', 's', 'j', 'p', 'n', 'f')
  if task[1] ~= entry then
    drop(class, entry)
    return nil
  end
  local deliveries = tonumber(task[5])
  if task[2] == 'ready' then
    deliveries = deliveries + 1
    redis.call('HSET', task_key(id), 's', 'leased', 'n', deliveries, 'at', now_ms())
    redis.call('HDEL', task_key(id), 'm')
    count(class, 'ready', 'leased')
  end
  return { id, task[3], class, task[4], deliveries, tonumber(task[6]), entry }
end

-- Whether a consumer still holds a task by this delivery.
local function hold(class, entry, id, consumer)
  if redis.call('EXISTS', line(class)) == 0 then return 'lost' end
  local pending = redis.call('XPENDING', line(class), GROUP, entry, entry, 1)
  if #pending == 0 or pending[1][2] ~= consumer then return 'lost' end
  if redis.call('HGET', task_key(id), 'e') ~= entry then return 'cancelled' end
  return 'held'
end

-- Forgets a task; what its line or its holder still has of it becomes a ghost.
local function remove(id, job, class, state)
  redis.call('DEL', task_key(id))
  redis.call('SREM', job_key(job), id)
  if state == 'delayed' then redis.call('ZREM', DELAYED, id) end
  if state == 'dead' then redis.call('ZREM', dead_key(job), id) end
  count(class, state, nil)
end

-- Tells the coordinators. Numbers are without gaps, so that a reader sees what it missed.
local function notice(keep, id, job, attempt, outcome, note)
  born()
  local number = redis.call('HINCRBY', META, 'notices', 1)
  redis.call('XADD', NOTICES, 'MAXLEN', '~', keep, number .. '-0', 'd', id, 'j', job, 'n', attempt, 'o', outcome, 'b', note)
end

-- Out of tries.
local function bury(keep, id, job, class, attempt, reason)
  redis.call('HSET', task_key(id), 's', 'dead', 'e', '', 'w', reason)
  redis.call('ZADD', dead_key(job), 0, id)
  count(class, 'leased', 'dead')
  notice(keep, id, job, attempt, 'dead', reason)
end

-- Makes up to limit delayed tasks ready whose time has come.
local function wake(limit)
  local due = redis.call('ZRANGE', DELAYED, '-inf', now_ms(), 'BYSCORE', 'LIMIT', 0, limit)
  for _, id in ipairs(due) do
    redis.call('ZREM', DELAYED, id)
    local task = redis.call('HMGET', task_key(id), 's', 'c')
    if task[1] == 'delayed' then
      push(task[2], id)
      count(task[2], 'delayed', 'ready')
    end
  end
end
