/** `log restore`: a log out of a backup, unless the log is known to have gone on. @module */
import { join } from 'node:path'
import { type LogCopy, restoreLog, type Witnessed } from '../../../log-server/index.ts'
import { sha256, toHex, utf8 } from '../../../merkle/index.ts'
import { createFetcher, LogClient, RefusedError } from '../../log-client/index.ts'
import { type Arguments, type Command, Exit, UsageError } from '../command.ts'
import type { Io } from '../io.ts'
import { connectionFlags, tlsOf } from '../log-access.ts'

const MAX_NOTE_BYTES = 64 * 1024

export const logRestore: Command = {
  name: 'log restore',
  summary: 'make a log of a backup, if nobody who is asked knows that it went on',
  flags: {
    from: { value: 'DIR', about: 'the backup', required: true },
    data: { value: 'DIR', about: 'where the log goes; must not be there yet, or be empty', required: true },
    old: { value: 'DIR', about: 'the old directory, if there is anything left of it: its guard is asked' },
    'checkpoint-url': {
      value: 'URL',
      about: 'where the log publishes its checkpoint, or a mirror does',
      repeated: true,
    },
    checkpoint: { value: 'FILE', about: 'a checkpoint of the log that somebody has kept', repeated: true },
    witness: { value: 'URL', about: 'monitoring prefix of a witness (c2sp.org/tlog-witness)', repeated: true },
    vkey: { value: 'VKEY', about: 'a key that signed checkpoints since the backup was made', repeated: true },
    'catch-up': {
      value: 'URL',
      about: 'where what the log published after the backup can be read (a mirror, a replica): go on to that first',
    },
    unchecked: { about: 'ask nobody: it is known that the log signed nothing after the backup' },
    keys: { value: 'DIR', about: 'copy the private keys from there, a log’s directory, and not from the backup' },
    ...connectionFlags,
  },

  async run(args, io) {
    const backup = args.text('from')
    const old = args.optional('old')
    const witnessed = await ask(args, io, await originOf(backup, io))
    if (witnessed.length === 0 && old === undefined && !args.has('unchecked')) {
      throw new UsageError(
        'give --checkpoint-url, --checkpoint, --witness or --old, so that a log that has gone on is not forked; or say --unchecked',
      )
    }
    const keys = args.optional('keys')
    const mirror = args.optional('catch-up')
    const catchUp = mirror === undefined ? undefined : await copyAt(mirror, args, io)
    const restored = await restoreLog({
      ...{ backup, dataDir: args.text('data'), witnessed, vkeys: args.all('vkey') },
      ...(old !== undefined && { guard: join(old, 'guard') }),
      ...(keys !== undefined && { keys }),
      ...(catchUp && { catchUp }),
    }).finally(() => catchUp?.close())
    const { origin, size, root, asked, caughtUp } = restored
    if (args.has('json')) io.out(JSON.stringify(restored))
    else {
      io.out(`${origin}: ${size} entries, root ${root}`)
      if (caughtUp) {
        io.out(`the backup had ${caughtUp.before} of them, and ${caughtUp.from} the rest`)
        if (caughtUp.withoutWraps > 0)
          io.out(`${caughtUp.withoutWraps} sealed records came without wraps, or never had any`)
      }
      for (const { from, size } of asked) io.out(`${from} knows ${size === undefined ? 'no tree' : `size ${size}`}`)
      if (asked.length === 0) io.out('nobody was asked whether the log has gone on')
    }
    return Exit.ok
  },
}

async function originOf(backup: string, io: Io): Promise<string> {
  // Only to ask witnesses by it: the restore reads the file for itself, and believes nothing of it before it has compared.
  try {
    const manifest = await io.readFile(join(backup, 'manifest.json'))
    const { origin } = JSON.parse(Buffer.from(manifest).toString('utf8')) as { origin?: unknown }
    return typeof origin === 'string' ? origin : ''
  } catch {
    return ''
  }
}

/** What is read there is believed when it leads to what the log has signed, and not before. */
async function copyAt(url: string, args: Arguments, io: Io) {
  const from = url.endsWith('/') ? url : `${url}/`
  const fetcher = createFetcher({ url: from, tls: await tlsOf(args, io), now: io.now })
  const client = new LogClient({ url: from, clock: io.now, fetcher })
  const copy: LogCopy = {
    from: url,
    statements: (n, width) => client.statementBundle(n, width),
    wraps: (entry) => client.wraps(entry).catch(orNotFound),
    certificates: (entry) => client.certificates(entry).catch((error: unknown) => orNotFound(error) ?? []),
  }
  const { body: checkpoint } = await fetcher.fetch({ path: 'checkpoint', maxBytes: MAX_NOTE_BYTES })
  return { copy, checkpoint, now: io.now, close: () => fetcher.close() }
}

function orNotFound(error: unknown): undefined {
  if (!(error instanceof RefusedError) || error.status !== 404) throw error
  return undefined
}

/** Whoever does not answer has not said that nothing is newer: that is an error and no answer. */
async function ask(args: Arguments, io: Io, origin: string): Promise<Witnessed[]> {
  const witnessed: Witnessed[] = []
  for (const from of args.all('checkpoint')) witnessed.push({ from, checkpoint: await io.readFile(from) })
  for (const url of args.all('checkpoint-url')) witnessed.push({ from: url, checkpoint: await get(url, args, io) })
  for (const url of args.all('witness')) {
    const at = `${url.replace(/\/$/, '')}/${toHex(sha256(utf8(origin)))}/checkpoint`
    // Not found: it was never shown this log.
    const checkpoint = await get(at, args, io).catch(orNotFound)
    witnessed.push({ from: url, checkpoint })
  }
  return witnessed
}

async function get(url: string, args: Arguments, io: Io): Promise<Uint8Array> {
  const place = URL.canParse(url) ? new URL(url) : undefined
  if (!place || !/^https?:$/.test(place.protocol) || place.search !== '')
    throw new UsageError(`${url} is not the URL of a checkpoint`)
  const base = new URL('.', place)
  const fetcher = createFetcher({ url: base.href, tls: await tlsOf(args, io), now: io.now })
  try {
    const { body } = await fetcher.fetch({ path: place.pathname.slice(base.pathname.length), maxBytes: MAX_NOTE_BYTES })
    return body
  } finally {
    fetcher.close()
  }
}
