-- v1. What one caller has of its plan: a bucket (GCRA), a count of the day or month, places among those in flight.
-- Whatever is granted is granted of all three at once. Times are microseconds of this server's clock.
--
-- KEYS 1 bucket, 2 count of the period, 3 places by replica, 4 by replica: how many requests were charged that it admitted
--      apart, the time that is kept for it beside them, and until when; 5 by replica: its lease, and how many cells that was
--      charged; 6 count of the tokens' period, where there is one
-- ARGV 1 replica, 2 the clock as the replica expects it (0: it does not know)
--      3 time of one cell, 4 burst, 5 cells wanted, 6 how many of them requests wait for, 7 cells given back
--      8 time until the bucket was whole as far as the replica knows, 9 how full its own part of the bucket is beyond that
--      10 quota (0: none), 11 seconds for which its count is kept, 12 what the replica has counted in the period,
--      13 how much of that it knows to be in 14, the whole count as far as it knows, of the count that began at 15
--      16 places that there are, 17 those that it holds, 18 more that it wants, 19 how many of them requests wait for
--      20 how long its places live without a word of it
--      21 what the replica has ever admitted apart, 22 how much of that it knows to be charged,
--      23 the bucket's base as it was told last, 24 of the bucket that began then (0: it was told nothing)
--      25 replicas that are cut off, each with the time since when, 26 how many there are in all
--      27 the replica's lease, 28 cells that it was ever given and has not given back, and 22, 29 whether no other call of it
--      can still be answered
--      30 when the bucket began of which 8 is known
--      31 to 36 the same of tokens as 10 to 15 of requests; not there: they are not limited
-- Returns cells, why there are fewer than requests wait for (1 bucket, 2 quota, 3 places, 4 tokens), the wait for another
--      cell, the time until the bucket is whole, the whole count, when it began, places, all tokens, since when, the
--      bucket's base, when that began.
local replica = ARGV[1]
local arg = {}
for i = 2, #ARGV do arg[i] = tonumber(ARGV[i]) end
local parts = math.max(arg[26], 1)
local time = redis.call('TIME')
-- So small that fractions of a microsecond are exact enough.
local now = (time[1] - 1700000000) * 1000000 + time[2]
local expected = arg[2]
-- A clock that was set: what was written before goes on from there.
local jump = 0
if expected > 0 and math.abs(now - expected) > 1000000 then jump = now - expected end

-- `ever` is all that was charged to the bucket since it began. What it is less than `whole`, its base, grows while the
-- bucket is whole and nobody uses it, and shrinks when somebody says later that he did.
local period, burst = arg[3], arg[4]
local whole, ever, began, set = now, 0, now, 0
local stored = redis.call('GET', KEYS[1])
if stored then
  local tat, at, charged, since = string.match(stored, '^(%S+) (%S+) (%S+) (%S+)$')
  tat, at = tonumber(tat) or now, tonumber(at) or now
  ever, began = tonumber(charged) or 0, tonumber(since) or now
  -- Of a bucket that is kept so long one knows that without having known the clock.
  if at > now + 1000000 or now - at > math.max(tat - at, 0) + 6000000 then
    set = now - at
  elseif jump ~= 0 and math.abs(at - expected) < math.abs(at - now) then
    set = jump
  end
  if set ~= 0 then began, ever = now, 0 end
  whole = tat + set
  -- What it knows of the bucket before this one, those who were here first may not have known.
  if arg[8] > 0 and arg[30] ~= began then
    whole = math.max(whole, math.min(now + arg[8] + ever, now + burst * period))
  end
else
  -- Evicted, or the server began anew.
  whole = now + arg[8]
end

-- Whoever is cut off has its part of the limits, which the others leave alone.
local function apart(id)
  local entry = redis.call('HGET', KEYS[4], id)
  if not entry then return 0, 0, 0 end
  local charged, kept, till = string.match(entry, '^(%S+) (%S+) (%S+)$')
  return tonumber(charged) or 0, tonumber(kept) or 0, math.min(tonumber(till) or 0, now)
end
local function note(id, charged, kept)
  redis.call('HSET', KEYS[4], id, string.format('%.0f %.0f %.0f', charged, kept, now))
  redis.call('PEXPIRE', KEYS[4], 120000)
end

-- What was charged to the replica's lease, against what the replica has had of it. A server that takes over may not have heard
-- of the last of it; and an answer that never arrived gave nothing to anybody.
local charged, kept, till = apart(replica)
local leased, of_lease, had = 0, string.match(redis.call('HGET', KEYS[5], replica) or '', '^(%S+) (%S+)$')
-- Some of what it admitted apart may be charged though it was not told so.
local held = arg[28] + arg[7] + math.max(charged - arg[22], 0)
if of_lease == ARGV[27] then
  had = tonumber(had) or 0
  if stored then leased = held - had end
  if leased < 0 and arg[29] == 0 then leased = 0 end
  had = had + leased
else
  had = held
end
ever = ever + leased * period
if leased > 0 and arg[24] == began then
  -- All replicas tell their part of it, one after the other: what is charged is right once the last of them has.
  whole = math.max(whole, arg[23] + ever)
elseif leased > 0 then
  whole = math.max(whole, math.min(whole + leased * period, now + burst * period))
else
  whole = whole + leased * period
end
-- The plan of whoever asks may have a smaller burst than that of those who asked before.
local latest = math.max(whole, now + 2 * burst * period + 5000000)

-- The others' part.
local cut_off = {}
for id, since in string.gmatch(ARGV[25], '(%x+):(%d+)') do
  if id ~= replica then
    cut_off[id] = true
    local charged, kept, till = apart(id)
    local more = math.min(math.max(now - math.max(till, tonumber(since)), 0), 60000000) / parts
    whole, ever = whole + more, ever + more
    note(id, charged, kept + more)
  end
end
whole = math.max(whole - arg[7] * period, now)
ever = ever - arg[7] * period

-- What the replica admitted while it could not reach this server. That is in its part of the limit, and if the others had
-- no more than theirs, time has paid for it. Whatever they had beyond is owed, be it more than the bucket holds.
local untold = math.max(arg[21] - math.max(charged, arg[22]), 0)
local owed = untold * period - kept
local full = now + burst * period
if owed > 0 then
  local base = math.min(arg[23], whole - ever)
  local alone = arg[9]
  -- While all tell a server that began anew, time goes on for those who have not told yet.
  if arg[24] ~= began and now - began < 3000000 then alone = alone + (now - began) / parts end
  whole = math.max(whole, math.min(whole + math.min(alone, owed), full))
  if arg[24] == began then whole = math.max(whole, base + ever + owed) end
else
  -- More was kept for it than it used.
  whole = math.max(whole + owed, now)
end
ever = ever + owed
if owed ~= 0 then
  note(replica, arg[21], 0)
elseif now > till + 500000 and till > 0 then
  -- It is there: who believes that it is cut off keeps nothing for it of the time until now.
  redis.call('HSET', KEYS[4], replica, string.format('%.0f 0 %.0f', charged, now))
end
whole = math.min(whole, latest)

-- Each replica says what it has counted in the period, so that whatever the store forgets of it is put right. Of those who
-- say nothing any more the others know: `base` is what was counted when the store began anew, `since` what came later.
local function counted(key, own, said, known, known_born)
  local stored = redis.call('HMGET', key, 'born', 'base', 'since', 'sum', replica)
  local count = {
    key = key, own = own, is_new = not stored[1],
    -- Its name, which is read as a number without a sign: a machine may begin without its clock.
    born = tonumber(stored[1] or string.format('%.0f', math.abs(now))),
    base = tonumber(stored[2] or 0), since = tonumber(stored[3] or 0),
  }
  local before = tonumber(stored[5] or 0)
  if count.born == known_born and stored[5] then
    count.since = count.since + own - before
  else
    count.since = count.since + own - said
    if known_born == 0 then
      count.base = math.max(count.base, known - count.since)
    else
      count.base = math.max(count.base, known)
    end
  end
  count.sum = tonumber(stored[4] or 0) + own - before
  count.total = math.max(count.sum, count.base + count.since)
  return count
end

local function keep(count, more, seconds)
  local text = function(number) return string.format('%.0f', number) end
  redis.call('HSET', count.key, 'born', text(count.born), 'base', text(count.base), 'since', text(count.since + more),
    'sum', text(count.sum + more), replica, text(count.own + more))
  redis.call('EXPIRE', count.key, seconds)
end

local most, total, born, count = arg[10], 0, 0, nil
if most > 0 then
  count = counted(KEYS[2], arg[12], arg[13], arg[14], arg[15])
  total, born = count.total, count.born
end

local spent, spent_born, is_spent = 0, 0, false
if arg[31] then
  local tokens = counted(KEYS[6], arg[33], arg[34], arg[35], arg[36])
  -- Whoever knows of none begins no count.
  if tokens.total > 0 or not tokens.is_new then
    keep(tokens, 0, arg[32])
    spent, spent_born = math.min(tokens.total, 4294967295), tokens.born
  end
  is_spent = spent >= arg[31]
end

local taken = 0
local others = redis.call('HGETALL', KEYS[3])
local life = arg[20] * 1000
for i = 1, #others, 2 do
  if others[i] ~= replica then
    local count, ends = string.match(others[i + 1], '^(%S+) (%S+)$')
    count, ends = tonumber(count) or 0, tonumber(ends) or 0
    local left, left_as_expected = ends - now, ends - expected
    local lives = (left > 0 and left < life + 1000000)
      or (jump ~= 0 and left_as_expected > 0 and left_as_expected < life + 1000000)
    if lives then
      if cut_off[others[i]] then cut_off[others[i]] = count end
      taken = taken + count
    else
      redis.call('HDEL', KEYS[3], others[i])
    end
  end
end
for _, count in pairs(cut_off) do
  taken = taken + math.max(math.floor(arg[16] / parts) - (tonumber(count) or 0), 0)
end

local cells, needed, reason, wait = arg[5], arg[6], 0, 0
local room = math.max(math.floor((now + burst * period - whole) / period + 0.000001), 0)
if room < cells then
  cells = room
  if cells < needed then reason = 1 end
end
if most > 0 then
  local left = math.max(most - total, 0)
  if left < cells then
    cells = left
    if cells < needed and reason == 0 then reason = 2 end
  end
end
if is_spent then
  cells = 0
  if needed > 0 then reason = 4 end
end
local held = arg[17]
local places = math.min(arg[18], math.max(arg[16] - taken - held, 0))
local short = arg[19] - places
if short > 0 and cells > needed - short then
  cells = math.max(needed - short, 0)
  if reason == 0 then reason = 3 end
end
if needed > 0 and cells == 0 then places = 0 end

local changes = cells > 0 or next(cut_off) ~= nil or arg[7] > 0 or owed ~= 0 or leased ~= 0 or (not stored and arg[8] > 0)
whole, ever = whole + cells * period, ever + cells * period
if changes or jump ~= 0 or set ~= 0 then
  -- For some time longer than it is needed: a replica that is apart for a moment finds what was charged meanwhile.
  local text = string.format('%.3f %.0f %.3f %.0f', whole, now, ever, began)
  local kept_for = math.ceil((whole - now) / 1000) + 5000
  redis.call('SET', KEYS[1], text, 'PX', kept_for)
  redis.call('HSET', KEYS[5], replica, string.format('%s %.0f', ARGV[27], had - arg[7] + cells + untold))
  redis.call('PEXPIRE', KEYS[5], kept_for)
end
if reason == 1 then wait = math.max(whole + period - burst * period - now, 0) end
if most > 0 then keep(count, cells, arg[11]) end
if held + places > 0 then
  redis.call('HSET', KEYS[3], replica, string.format('%.0f %.0f', held + places, now + life))
  redis.call('PEXPIRE', KEYS[3], 60000)
else
  redis.call('HDEL', KEYS[3], replica)
end
return { cells, reason, math.ceil(wait), math.ceil(whole - now), total + cells, born, places, spent, spent_born,
  math.floor(whole - ever), began }
