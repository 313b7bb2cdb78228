/**
 * The scripts by which counts change in Redis, each one step of the server: rows are added to what stands there within
 * the same bounds as on a host (src/report/tally.ts), and rows that idle are folded into (others).
 *
 * KEYS of all: rows (hash: `domain TAB flow TAB remote` → numbers), sizes (hash: `domain TAB flow` → its remotes), about
 * (hash: since; remotes, of all; `run:ID` of each process that adds → `sequence moment host`).
 */

const COMMON = `
local rows, sizes, about = KEYS[1], KEYS[2], KEYS[3]
if redis.acl_check_cmd then
  for _, command in ipairs({{'HSET', rows, 'f', 'v'}, {'HDEL', rows, 'f'}, {'HINCRBY', sizes, 'f', '1'}, {'HDEL', sizes, 'f'},
    {'HSET', about, 'f', 'v'}, {'HINCRBY', about, 'f', '1'}, {'HDEL', about, 'f'}, {'DEL', rows}}) do
    if not redis.acl_check_cmd(unpack(command)) then
      return redis.error_reply('NOPERM this user has no permissions to run ' .. command[1] .. ' on ' .. command[2])
    end
  end
end
redis.call('HLEN', sizes)
redis.call('HLEN', about)

local OTHERS = '(others)'
local function read(text)
  local numbers = {}
  for name, value in string.gmatch(text, '(%S+)=(%d+)') do numbers[name] = tonumber(value) end
  return numbers
end
local function add(key, text)
  local present = redis.call('HGET', rows, key)
  if present then
    local to, more = read(present), read(text)
    for name, value in pairs(more) do
      local old = to[name]
      if not old then to[name] = value
      elseif name == 'first' then if value < old then to[name] = value end
      elseif name == 'last' or name == 'last-lacking' then if value > old then to[name] = value end
      else to[name] = old + value end
    end
    local parts = {}
    for name, value in pairs(to) do parts[#parts + 1] = name .. '=' .. string.format('%.0f', value) end
    table.sort(parts)
    text = table.concat(parts, ' ')
  end
  redis.call('HSET', rows, key, text)
end
local function split(key)
  return string.match(key, '^([^\\t]*)\\t([^\\t]*)\\t([^\\t]*)$')
end
local function spoken()
  return redis.call('HLEN', sizes) + tonumber(redis.call('HGET', about, 'remotes') or '0') + 2
end
`;

/**
 * ARGV: run, sequence, host, now, since when the rows were counted; the most rows, the most remotes of one domain and flow,
 * the room for all remotes; then key and numbers of each row. A sequence of a run that was added before is not added again. Answers whether little room
 * is left: '1' or '0'.
 */
export const ADD_SCRIPT = `${COMMON}
local run, seq, host, now = 'run:' .. ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local maxRows, maxRemotes, roomForRemotes = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local seen = redis.call('HGET', about, run)
if seen and tonumber(string.match(seen, '^%d+')) >= seq then return '0' end
if not seen and redis.call('HLEN', about) > 200 then
  local all = redis.call('HGETALL', about)
  for i = 1, #all, 2 do
    local at = string.match(all[i + 1], '^%d+ (%d+)')
    if string.sub(all[i], 1, 4) == 'run:' and at and tonumber(at) < now - 7 * 86400000 then redis.call('HDEL', about, all[i]) end
  end
end
for i = 9, #ARGV, 2 do
  local key, text = ARGV[i], ARGV[i + 1]
  if redis.call('HEXISTS', rows, key) == 0 then
    local domain, flow, remote = split(key)
    local place = domain .. '\\t' .. flow
    if domain ~= OTHERS then
      local size = redis.call('HGET', sizes, place)
      if not size and spoken() >= maxRows then key = OTHERS .. '\\t' .. flow .. '\\t' .. OTHERS
      else
        if not size then redis.call('HINCRBY', sizes, place, 0) end
        if remote ~= OTHERS then
          if tonumber(size or '0') >= maxRemotes or spoken() >= roomForRemotes then key = place .. '\\t' .. OTHERS
          else
            redis.call('HINCRBY', sizes, place, 1)
            redis.call('HINCRBY', about, 'remotes', 1)
          end
        end
      end
    end
  end
  add(key, text)
end
if redis.call('HEXISTS', about, 'since') == 0 then redis.call('HSET', about, 'since', ARGV[5]) end
redis.call('HSET', about, run, string.format('%.0f %.0f ', seq, now) .. host)
return (spoken() > maxRows * 3 / 4) and '1' or '0'
`;

/**
 * ARGV: key and numbers of each row that is to be folded into (others) of its domain, and (others) of a domain without
 * any other row into that of all; those only that are still as they were read. Answers how many were.
 */
export const FOLD_SCRIPT = `${COMMON}
local folded = 0
for i = 1, #ARGV, 2 do
  local key = ARGV[i]
  if redis.call('HGET', rows, key) == ARGV[i + 1] then
    local domain, flow, remote = split(key)
    local place = domain .. '\\t' .. flow
    local to
    if remote ~= OTHERS then
      to = place .. '\\t' .. OTHERS
      redis.call('HINCRBY', sizes, place, -1)
      redis.call('HINCRBY', about, 'remotes', -1)
    elseif tonumber(redis.call('HGET', sizes, place) or '0') == 0 then
      to = OTHERS .. '\\t' .. flow .. '\\t' .. OTHERS
      redis.call('HDEL', sizes, place)
    end
    if to and to ~= key then
      redis.call('HDEL', rows, key)
      add(to, ARGV[i + 1])
      folded = folded + 1
    end
  end
end
return tostring(folded)
`;

/** ARGV: now. Begins anew; who adds goes on where they are. */
export const RESET_SCRIPT = `${COMMON}
redis.call('DEL', rows, sizes)
redis.call('HDEL', about, 'remotes')
redis.call('HSET', about, 'since', ARGV[1])
return ARGV[1]
`;
