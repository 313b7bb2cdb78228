/**
 * The one way in which settings in Redis change: a script that looks whether everything is as the writer believes, and
 * then writes records, indexes and stream entries; all of it, or nothing. It runs in one step of the server, so nobody
 * sees one without the other.
 */

/** One domain's change, as the script is told of it. */
export interface ScriptChange {
  readonly name: string;
  /** SHA-1 of the record as the writer saw it; '': there was none. */
  readonly before: string;
  /** '': it goes. */
  readonly after: string;
  readonly oldAliases: readonly string[];
  readonly newAliases: readonly string[];
  /** Members of the sorted set of certificates; null: whichever are of this domain, for its record cannot be read. */
  readonly oldCertificates: readonly string[] | null;
  readonly newCertificates: readonly string[];
}

/** One stream entry and the changes that it tells of. */
export interface ScriptChunk {
  readonly entry: Readonly<Record<'by' | 'host' | 'command' | 'domains' | 'records' | 'differences', string>>;
  readonly changes: readonly ScriptChange[];
}

/** What the script answers: where the stream is now, or what was in the way. */
export type ScriptReply =
  | readonly ['written', epoch: string, id: string, seq: string]
  /** Somebody else changed this domain meanwhile. */
  | readonly ['changed', name: string]
  /** This name or alias belongs to another domain. */
  | readonly ['name', name: string, wanted: string, holder: string]
  /** Another domain sets the certificate of this next hop otherwise. */
  | readonly ['certificate', name: string, member: string, holder: string];

/**
 * KEYS: domains, aliases, certificates, changes, adopted. ARGV: the epoch to begin with, if there is no stream; how many
 * entries are kept; '1' to have all hosts go over to this epoch; then a {@link ScriptChunk} each, as JSON.
 *
 * Whether the user may send every command is asked first, since a script that is stopped half-way is not undone; a
 * server without memory stops it at the first write.
 */
export const WRITE_SCRIPT = `
local domains, aliases, certificates, changes, adopted = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]

if redis.acl_check_cmd then
  for _, command in ipairs({
    {'HSET', domains, 'f', 'v'}, {'HDEL', domains, 'f'}, {'HSET', aliases, 'f', 'v'}, {'HDEL', aliases, 'f'},
    {'ZADD', certificates, '0', 'm'}, {'ZREM', certificates, 'm'}, {'XADD', changes, '*', 'f', 'v'}, {'SET', adopted, 'v'},
  }) do
    if not redis.acl_check_cmd(unpack(command)) then
      return redis.error_reply('NOPERM this user has no permissions to run ' .. command[1] .. ' on ' .. command[2])
    end
  end
end
-- A key of another type is noticed before anything is written.
redis.call('HLEN', aliases)
redis.call('ZCARD', certificates)

local epoch, seq, told = ARGV[1], 0, {}
local last = redis.call('XREVRANGE', changes, '+', '-', 'COUNT', 1)[1]
if last then
  for i = 1, #last[2], 2 do told[last[2][i]] = last[2][i + 1] end
  seq = tonumber(told.seq or '')
  if not told.epoch or not seq then
    return redis.error_reply('ERR ' .. changes .. ' holds an entry that tlswarden did not write')
  end
  -- Records that were lost are no settings to go on from: hosts keep theirs, until all is brought back and adopted.
  local records = told.records or ''
  local some = string.find(records, '{', 1, true) or (records == '' and (told.domains or '[]') ~= '[]')
  if redis.call('HLEN', domains) > 0 or not (some or ARGV[3] == '1') then epoch = told.epoch end
end

local chunks, batch = {}, {}
for i = 4, #ARGV do
  local chunk = cjson.decode(ARGV[i])
  chunks[#chunks + 1] = chunk
  for _, change in ipairs(chunk.changes) do batch[change.name] = true end
end

local function membersOf(name)
  local members = {}
  for _, member in ipairs(redis.call('ZRANGEBYLEX', certificates, '-', '+')) do
    if string.match(member, '([^\\t]*)$') == name then members[#members + 1] = member end
  end
  return members
end

local function stays(name)
  return not batch[name] and redis.call('HEXISTS', domains, name) == 1
end

local function other(name, wanted)
  local holder = redis.call('HGET', aliases, wanted)
  if holder and stays(holder) then return holder end
  if name ~= wanted and stays(wanted) then return wanted end
end

local function beyond(from, to)
  for _, member in ipairs(redis.call('ZRANGEBYLEX', certificates, from, to)) do
    local holder = string.match(member, '([^\\t]*)$')
    if stays(holder) then return holder end
  end
end

for _, chunk in ipairs(chunks) do
  for _, change in ipairs(chunk.changes) do
    local now = redis.call('HGET', domains, change.name)
    if (now and redis.sha1hex(now) or '') ~= change.before then return {'changed', change.name} end
    if change.after ~= '' then
      local holder = other(change.name, change.name)
      if holder then return {'name', change.name, change.name, holder} end
      for _, alias in ipairs(change.newAliases) do
        holder = other(change.name, alias)
        if holder then return {'name', change.name, alias, holder} end
      end
      for _, member in ipairs(change.newCertificates) do
        local prefix, value = string.match(member, '^([^\\t]*\\t[^\\t]*\\t)([^\\t]*)\\t')
        holder = beyond('[' .. prefix, '(' .. prefix .. value .. '\\t')
          or beyond('[' .. prefix .. value .. '\\n', '(' .. prefix .. '\\255')
        if holder then return {'certificate', change.name, member, holder} end
      end
    end
  end
end

local id = last and last[1] or ''
for i, chunk in ipairs(chunks) do
  seq = seq + 1
  local entry = chunk.entry
  -- An entry that adopts names no domain, and still tells that there are some.
  if ARGV[3] == '1' and redis.call('HLEN', domains) > 0 then entry.records = '[{}]' end
  id = redis.call('XADD', changes, 'MAXLEN', '~', ARGV[2], '*', 'epoch', epoch, 'seq', string.format('%.0f', seq),
    'by', entry.by, 'host', entry.host, 'command', entry.command,
    'domains', entry.domains, 'records', entry.records, 'differences', entry.differences,
    'more', i < #chunks and '1' or '')
  for _, change in ipairs(chunk.changes) do
    -- What a record says that cannot be used here need not have been its own.
    for _, alias in ipairs(change.oldAliases) do
      if redis.call('HGET', aliases, alias) == change.name then redis.call('HDEL', aliases, alias) end
    end
    local members = change.oldCertificates
    if members == cjson.null then members = membersOf(change.name) end
    for _, member in ipairs(members) do redis.call('ZREM', certificates, member) end
    if change.after == '' then redis.call('HDEL', domains, change.name)
    else redis.call('HSET', domains, change.name, change.after) end
  end
end
-- After all that goes: an alias may have gone from one domain to another.
for _, chunk in ipairs(chunks) do
  for _, change in ipairs(chunk.changes) do
    for _, alias in ipairs(change.newAliases) do redis.call('HSET', aliases, alias, change.name) end
    for _, member in ipairs(change.newCertificates) do redis.call('ZADD', certificates, 0, member) end
  end
end
if ARGV[3] == '1' then redis.call('SET', adopted, epoch) end
return {'written', epoch, id, string.format('%.0f', seq)}
`;
