-- An exchange is added to a session. KEYS[1] its exchanges, oldest first; ARGV 4 the exchange, 5 its turns, 6 turns and
-- 7 bytes of a session at most. Before each stands when it was, its turns and bytes, and those of the session up to it:
-- what is there is told by the first and the last.
local function head(at)
  local row = redis.call('LINDEX', KEYS[1], at)
  if not row then return nil end
  local time, turns, bytes, all_turns, all_bytes = string.match(row, '^(%d+) (%d+) (%d+) (%d+) (%d+)|')
  return { time = tonumber(time) or 0, turns = tonumber(turns) or 0, bytes = tonumber(bytes) or 0,
    all_turns = tonumber(all_turns) or 0, all_bytes = tonumber(all_bytes) or 0 }
end
local turns, bytes = tonumber(ARGV[5]), #ARGV[4]
local last = head(-1) or { all_turns = 0, all_bytes = 0 }
local all_turns, all_bytes = last.all_turns + turns, last.all_bytes + bytes
redis.call('RPUSH', KEYS[1],
  string.format('%.0f %.0f %.0f %.0f %.0f|', now, turns, bytes, all_turns, all_bytes) .. ARGV[4])
for _ = 2, redis.call('LLEN', KEYS[1]) do
  local first = head(0)
  local is_too_much = all_turns - first.all_turns + first.turns > tonumber(ARGV[6])
    or all_bytes - first.all_bytes + first.bytes > tonumber(ARGV[7])
  if not is_too_much and first.time >= now - age then break end
  redis.call('LPOP', KEYS[1])
end
redis.call('EXPIRE', KEYS[1], age)
return use()
