-- Common to all scripts that change a key. One batch of one lane: it is applied
-- whole, once, or not at all.
--
-- KEYS[1]  ctl:{K}
-- ARGV[1]  epoch of the store         ARGV[5]  now, in ms, as text
-- ARGV[2]  writer id                  ARGV[6]  PUBLISH or SPUBLISH
-- ARGV[3]  sequence of the batch      ARGV[7]  channel
-- ARGV[4]  n: write although K has no ctl yet; a: the batch was sent before, @ and when
--          that was, in ms of the time of Redis;
--          q: its ops were queued; r: a replica is to have it; t: it ends writers,
--          and says nothing of its own; l: whatever K lacks; o: it begins with
--          an origin: " <writer> <from> <to>" for each of the writers, which were
--          ended, that its ops were acknowledged as before Redis lost them
--
-- Answers with a text:
--   OK <revision>;<results>   applied now, or before under this sequence
--   NO <revision>;<results>   every op was refused or had nothing to change: the
--                             sequence was not used. Not for a batch that was
--                             sent before, as a copy of it may come late
--   NEW     K has no ctl: the caller makes sure of the epoch, and asks again
--   EPOCH   K belongs to a store of another epoch
--   LOST    K misses batches of this writer that were acknowledged
--   GONE    it was lost whole, or put back since (back.lua): nothing is known here
--           of this writer, which may have had this very batch executed
--   LACK    it has lost its counts, or its definitions, and has to be put back
--   OLD     a later batch of this writer was applied already
--   HERE <revision>   all ops are here already, as its origin says
--   PART    some of them are
-- All but OK write nothing. A revision is "<number> <writer> <sequence>".
local EPOCH, WRITER, SEQ, NOW = ARGV[1], ARGV[2], ARGV[3], ARGV[5]
local FIRST, ORIGIN = 8, nil -- the first argument of the script's own
if string.find(ARGV[4], 'o', 1, true) then FIRST, ORIGIN = 9, ARGV[8] end
local ENDED = '9007199254740991' -- in place of the sequence of a writer that was ended: above any
local LIFE = 2592000000 -- a writer is remembered for 30 days
local ctl = redis.call('HMGET', KEYS[1], 'epoch', 'rev', 'srev', 'w:' .. WRITER, 'sweep', 'dead', 'upto', 'counted', 'empty')

if ctl[1] then
  if ctl[1] ~= EPOCH then return 'EPOCH' end
elseif tonumber(SEQ) > 1 then
  return 'GONE'
elseif not string.find(ARGV[4], 'n', 1, true) then
  return 'NEW'
end
-- before reports whether the batch may have been executed before a moment, at which the
-- key was put back: it was sent first no later than a few seconds after it.
local function before(upto)
  local sent = tonumber(string.match(ARGV[4], '@(%d+)'))
  return sent and sent < tonumber(string.match(upto, '%d+$')) + 1000
end

do
  local last = 0
  if ctl[4] then last = tonumber(string.match(ctl[4], '^%d+')) end
  local seq = tonumber(SEQ)
  if seq == last then
    -- WAIT speaks of what this connection has written.
    if string.find(ARGV[4], 'r', 1, true) then redis.call('HSET', KEYS[1], 'w:' .. WRITER, ctl[4]) end
    return 'OK ' .. string.match(ctl[4], '^%d+ %d+ (.*)$')
  elseif seq < last then
    return 'OLD'
  elseif ctl[7] and not ctl[4] and not string.find(ARGV[4], 't', 1, true) and (seq > 1 or before(ctl[7])) then
    return 'GONE'
  elseif seq > last + 1 then
    return 'LOST'
  end
end

-- last is the last batch of a writer that is here, under its own name or as one that
-- was applied again.
local function last(writer)
  local seq, results = string.match(redis.call('HGET', KEYS[1], 'w:' .. writer) or '', '^(%d+) %d+ [^;]*;(.*)$')
  if seq == ENDED then seq = results end
  return tonumber(seq) or 0
end

-- What changes a pool has its state as KEYS[2], and K as KEYS[3].
if ctl[1] and KEYS[3] and not string.find(ARGV[4], 'l', 1, true) and (ctl[8] and redis.call('EXISTS', KEYS[2]) == 0
    or not ctl[6] and not ctl[9] and redis.call('EXISTS', KEYS[3]) == 0) then return 'LACK' end

if ORIGIN then
  local all, none = true, true
  for writer, from, to in string.gmatch(ORIGIN, '(%S+) (%d+) (%d+)') do
    local n = last(writer)
    if n < tonumber(to) then all = false end
    if n >= tonumber(from) then none = false end
  end
  if not none then return all and 'HERE ' .. (ctl[2] or '0') or 'PART' end
end

-- netstring frames a text for a publication.
local function netstring(s) return #s .. ':' .. s .. ',' end

-- escape keeps the separators of results out of a text.
local function escape(s)
  return (string.gsub(s, '[%%,;\n]', function(c) return string.format('%%%02X', string.byte(c)) end))
end

-- alias follows the ids that a provider had to the one it has now in the pool.
-- Whoever gets an id loses the alias, so aliases make no circle.
local function alias(pool, id)
  while true do
    local till, to = string.match(redis.call('HGET', KEYS[1], 'a:' .. id) or '', '^(%d+) (.*)$')
    if not till or tonumber(till) <= tonumber(NOW) then return nil end
    if redis.call('HEXISTS', pool, to) == 1 then return to end
    id = to
  end
end

-- clock is the time of Redis, in ms: whose writers are long gone is not judged
-- by the clock of one of them.
local function clock()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- finish keeps the results under the sequence, moves the revision and
-- publishes. kind '' changed nothing that readers see. structural moves the
-- structure revision too. body is the publication after its header.
local function finish(results, kind, body, structural)
  local prev = ctl[2] or '0'
  local rev = prev
  if kind == '' and not string.find(ARGV[4], 'a', 1, true) then return 'NO ' .. rev .. ';' .. results end
  local set = {'epoch', EPOCH}
  if kind ~= '' then
    rev = string.format('%.0f', tonumber(string.match(prev, '^%d+')) + 1) .. ' ' .. WRITER .. ' ' .. SEQ
    set[3], set[4] = 'rev', rev
    if structural then
      set[5], set[6] = 'srev', rev
    end
    if kind == 'state' and not ctl[8] then
      set[#set + 1] = 'counted'
      set[#set + 1] = '1'
    end
  end
  local answer = rev .. ';' .. results
  set[#set + 1] = 'w:' .. WRITER
  set[#set + 1] = SEQ .. ' ' .. string.format('%.0f', clock()) .. ' ' .. answer
  if ORIGIN and not string.find(',' .. results, ',[?>]') then
    for writer, to in string.gmatch(ORIGIN, '(%S+) %d+ (%d+)') do
      set[#set + 1] = 'w:' .. writer
      set[#set + 1] = ENDED .. ' ' .. string.format('%.0f', clock()) .. ' 0;' .. to
    end
  end
  if not ctl[4] and redis.call('HLEN', KEYS[1]) > 512 then
    -- A new writer pays for forgetting those that are long gone.
    local all, gone, now = redis.call('HGETALL', KEYS[1]), {}, clock()
    for i = 1, #all, 2 do
      local t
      if string.sub(all[i], 1, 2) == 'w:' then
        t = tonumber(string.match(all[i + 1], '^%d+ (%d+)'))
        if t and now - t > LIFE then gone[#gone + 1] = all[i] end
      elseif string.sub(all[i], 1, 2) == 'a:' then
        t = tonumber(string.match(all[i + 1], '^%d+'))
        if t and now > t then gone[#gone + 1] = all[i] end
      end
      if #gone == 4000 then break end
    end
    if #gone > 0 then redis.call('HDEL', KEYS[1], unpack(gone)) end
  end
  redis.call('HSET', KEYS[1], unpack(set))
  if structural and KEYS[3] then -- a pool that has no provider is not one that was lost
    if not ctl[8] and redis.call('EXISTS', KEYS[2]) == 1 then
      redis.call('HSET', KEYS[2], TABLE, '')
      redis.call('HSET', KEYS[1], 'counted', '1')
    end
    if redis.call('EXISTS', KEYS[3]) == 0 then
      redis.call('HSET', KEYS[1], 'empty', '1')
    elseif ctl[9] then
      redis.call('HDEL', KEYS[1], 'empty')
    end
  end
  if ctl[6] and kind ~= '' then
    redis.call('PERSIST', KEYS[1])
    redis.call('HDEL', KEYS[1], 'dead')
  end
  if kind ~= '' then
    -- By now all is done: a user who may not publish is no reason to fail.
    redis.pcall(ARGV[6], ARGV[7], '1' .. netstring(KEYS[1]) .. netstring(prev) .. netstring(rev) .. netstring(kind) .. body)
  end
  return 'OK ' .. answer
end
