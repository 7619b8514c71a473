-- v1. What one replica has counted of a key's use in a month: its own totals, so that what is told twice counts once.
--
-- KEYS 1 the record: '<replica>' the number of its last call and when that was, '<replica>:<row>' its totals,
--        '-:<row>' those of all that are gone
-- ARGV 1 replica, 2 number of this call, 3 number of the last one that was answered (0: none)
--      4 the clock as the replica expects it (0: it does not know), 5 seconds for which the record is kept
--      6 seconds of silence after which a replica is gone, 7 whether this one leaves (1), then names of rows and totals
-- Returns whether the store has forgotten something that this replica had told: it tells all of it again.
local record, replica, known = KEYS[1], ARGV[1], tonumber(ARGV[3])
local time = redis.call('TIME')
local now = (time[1] - 1700000000) * 1000000 + time[2]

local function add(sum, more)
  local total, of = {}, string.gmatch(sum or '0 0 0 0', '%d+')
  for number in string.gmatch(more, '%d+') do
    total[#total + 1] = string.format('%.0f', tonumber(of() or 0) + tonumber(number))
  end
  return table.concat(total, ' ')
end

-- Adds their rows to those of all that are gone.
local function let_go(gone)
  local all = redis.call('HGETALL', record)
  for i = 1, #all, 2 do
    local of, row = string.match(all[i], '^([^:]+):(.*)$')
    if gone[of or all[i]] then
      if of then
        local sum = '-:' .. row
        redis.call('HSET', record, sum, add(redis.call('HGET', record, sum), all[i + 1]))
      end
      redis.call('HDEL', record, all[i])
    end
  end
end

local function silent()
  local all, found, is_found = redis.call('HGETALL', record), {}, false
  for i = 1, #all, 2 do
    local at = not string.find(all[i], ':', 1, true) and string.match(all[i + 1], ' (%d+)$')
    if at and (now - tonumber(at)) / 1000000 > tonumber(ARGV[6]) then found[all[i]], is_found = true, true end
  end
  return found, is_found
end

local before = redis.call('HGET', record, replica)
local stored = tonumber(before and string.match(before, '^%d+') or 0)
for i = 8, #ARGV, 2 do redis.call('HSET', record, replica .. ':' .. ARGV[i], ARGV[i + 1]) end
local lacks = stored < known
redis.call('HSET', record, replica, string.format('%s %.0f', ARGV[2], now))
if ARGV[7] == '1' and not lacks then
  let_go({ [replica] = true })
elseif not before and math.abs(now - tonumber(ARGV[4])) < 1000000 then
  -- By a clock that nobody has set.
  local found, is_found = silent()
  if is_found then let_go(found) end
end
redis.call('EXPIRE', record, ARGV[5])
return lacks and 1 or 0
