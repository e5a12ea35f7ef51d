/** `log status`: what a log is and how it does, from its directory, beside a running server too. @module */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import {
  askControl,
  connectControl,
  heldKeys,
  openLog,
  paths,
  readFrozen,
  readLogConfig,
} from '../../../log-server/index.ts'
import { toHex } from '../../../merkle/index.ts'
import { type Command, Exit } from '../command.ts'

export const logStatus: Command = {
  name: 'log status',
  summary: 'tell what a log is: size, root, checkpoint, whether it is served or frozen, keys, disk use',
  flags: { data: { value: 'DIR', about: 'the log, served or not', required: true } },

  async run(args, io) {
    const dataDir = args.text('data')
    const { format } = await readLogConfig(dataDir)
    const server = await connectControl(dataDir)
    const { ok: _, ...said } = server
      ? await askControl(server, 'status')
      : { ok: true, ...(await statusOf(dataDir, io.now)) }
    const { vkeys, kids } = await heldKeys(dataDir)
    const frozen = (await readFrozen(dataDir)) !== undefined
    const bytes = await bytesUnder(dataDir)
    const status = { served: server !== undefined, format, ...said, frozen, vkeys, kids, bytes }
    if (args.has('json')) io.out(JSON.stringify(status))
    else for (const [name, value] of Object.entries(status)) io.out(lineOf(name, value))
    return Exit.ok
  },
}

/** Opened as for serving, and closed again: what it says was checked. */
async function statusOf(dataDir: string, now: () => number): Promise<Record<string, unknown>> {
  const log = await openLog({ dataDir, now })
  try {
    const { size, root, issuedAt } = log.reader.treeHead()
    return { origin: log.origin, size, root: toHex(root), issuedAt, checkpoint: log.reader.checkpoint() }
  } finally {
    await log.close()
  }
}

async function bytesUnder(dataDir: string): Promise<number> {
  const { store } = paths(dataDir)
  const sizes = (await readdir(store)).map(async (name) => {
    // LevelDB takes its old files away while we look.
    const found = await stat(join(store, name)).catch(() => undefined)
    return found?.size ?? 0
  })
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
}

function lineOf(name: string, value: unknown): string {
  const lines = Array.isArray(value) ? value : typeof value === 'string' ? value.trimEnd().split('\n') : [value]
  return lines
    .map(
      (line, i) =>
        `${(i === 0 ? name : '').padEnd(11)}${typeof line === 'object' ? JSON.stringify(line) : String(line)}`,
    )
    .join('\n')
}
