/**
 * Logs with a defect: each is the real one with one part replaced, and each must be found.
 *
 * A simulation that finds nothing says little. What it would have found is what these say: bugs that logs and databases really had, put where a
 * part can be wrapped or exchanged. Nothing of the server is written down here a second time.
 *
 * @module
 */

import { closeAll, createSequencer, openOver, rebuildAuthorities } from '../../log-server/log.ts'
import { StoredLog } from '../../log-server/reading/reader.ts'
import { Edge } from '../../log-server/sequencing/edge.ts'
import { Publication } from '../../log-server/sequencing/publisher.ts'
import type { Database, DatabaseBatch, Rows } from '../../log-server/storage/database.ts'
import type { Guard, GuardFile } from '../../log-server/storage/guard.ts'
import type { Store } from '../../log-server/storage/store.ts'
import { unpack } from '../../log-server/storage/stored-values.ts'
import { LogError } from '../../log-server/types.ts'
import { EMPTY_ROOT, sha256 } from '../../merkle/index.ts'
import type { ServedLog } from './clients.ts'

type Parts = Parameters<typeof openOver>[0]

/** Parts put around others, or in their place. */
export interface Mutant {
  readonly database?: (database: Database) => Database
  readonly guardFile?: (file: GuardFile) => GuardFile
  readonly store?: (store: Store) => Store
  readonly guard?: (guard: Guard) => Guard
  readonly open?: (parts: Parts) => Promise<ServedLog>
  /** What it leads to takes two faults in a row, and many seeds. */
  readonly rarelyHarms?: true
  /** Changes something for as long as a seed runs. Returns what undoes it. */
  readonly patch?: () => () => void
}

const nothing = () => undefined
const NO_ROWS: Rows<Uint8Array> = { all: async () => [], async *[Symbol.asyncIterator]() {} }

/** By what is wrong with them. */
export const MUTANTS: Readonly<Record<string, Mutant>> = {
  'acknowledges before the sync': {
    database: (database) => writing(database, (batch) => batch.write({ sync: false as true })),
  },
  'does not wait for the commit': {
    store: (store) => instead(store, { commit: async (batch) => void store.commit(batch).catch(nothing) }),
  },
  'goes on after a commit that failed': {
    store: (store) => instead(store, { commit: (batch) => store.commit(batch).catch(nothing) }),
  },
  'syncs once more after a sync that failed': {
    database: (database) =>
      writing(database, (batch) => batch.write({ sync: true }).catch(() => database.batch().write({ sync: true }))),
  },
  'skips the guard': {
    guard: (guard) => instead(guard, { write: async () => undefined }),
  },
  'shows a tree before the guard has it': {
    guard: (guard) => instead(guard, { write: async (mark) => void guard.write(mark).catch(nothing) }),
  },
  'writes the guard first': {
    open: (parts) => {
      const { store, guard } = parts
      const commit: Store['commit'] = async (batch) => {
        await guard.write(batch.signed.head)
        await store.commit(batch)
      }
      return openOver({ ...parts, store: instead(store, { commit }) })
    },
  },
  'does not ask the guard on opening': {
    guard: deaf,
  },
  'takes the guard for durable because it can be read': {
    rarelyHarms: true,
    guardFile: (file) => {
      let first = true
      const write: GuardFile['write'] = async (bytes, offset, length, position) => {
        if (!first) return file.write(bytes, offset, length, position)
        first = false
        return { bytesWritten: length }
      }
      return instead(file, { write })
    },
  },
  'has one slot for the guard': {
    guardFile: (file) => instead(file, { write: (bytes, offset, length) => file.write(bytes, offset, length, 0) }),
  },
  'gives indexes of the last commit again': {
    database: undoing,
    guard: deaf,
    patch: () => () => last.clear(),
  },
  'knows of nothing that it has': {
    store: (store) => {
      const holders: Store['holders'] = async (entries) =>
        entries.map(() => ({ entry: undefined, identity: undefined, unique: [] }))
      return instead(store, { holders })
    },
  },
  'takes what its filter has not read for what is not there': {
    database: (database) => instead(database, { keys: () => NO_ROWS }),
  },
  'tells where an entry is before it is published': {
    patch: () => {
      const own = Object.getOwnPropertyDescriptor(Publication.prototype, 'reached')!
      Publication.prototype.reached = async () => undefined
      return () => Object.defineProperty(Publication.prototype, 'reached', own)
    },
  },
  'signs on over statements that do not lead to what it signed': {
    rarelyHarms: true,
    open: openUnchecked,
  },
  'goes down without answering': {
    open: async (parts) => instead(await openOver(parts), { close: () => parts.store.close() }),
  },
}

/** The part, with some of it replaced. */
function instead<T extends object>(part: T, replaced: Partial<T>): T {
  return new Proxy(part, {
    get(target, name) {
      if (name in replaced) return replaced[name as keyof T]
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

/** The database, whose batches are written in another way. */
function writing(database: Database, write: (batch: DatabaseBatch) => Promise<void>): Database {
  const batch = () => {
    const own = database.batch()
    return instead(own, { write: () => write(own) })
  }
  return instead(database, { batch })
}

/** Remembers what it is told, and says on opening that it was never told anything. */
function deaf(guard: Guard): Guard {
  let asked = false
  return new Proxy(
    instead(guard, { write: async (mark) => (mark.size < guard.last.size ? undefined : guard.write(mark)) }),
    {
      get(target, name) {
        if (name !== 'last') return Reflect.get(target, name, target)
        const { size, root } = guard.last
        const answer = asked ? { size, root } : { size: 0, root: EMPTY_ROOT }
        asked = true
        return answer
      },
    },
  )
}

/** What the last batch put, and what was there before. */
const last = new Map<string, Uint8Array | undefined>()

/** A database that comes up as it was before the last batch. */
function undoing(database: Database): Database {
  const undo = database.batch()
  for (const [name, before] of last) {
    const key = Buffer.from(name, 'latin1')
    if (before) undo.put(key, before)
    else undo.del(key)
  }
  const undone = last.size > 0 ? undo.write({ sync: true }) : Promise.resolve()
  last.clear()
  const batch = (): DatabaseBatch => {
    const own = database.batch()
    const keys: Uint8Array[] = []
    return {
      put: (key, value) => {
        keys.push(Uint8Array.from(key))
        return own.put(key, value)
      },
      del: (key) => own.del(key),
      write: async (options) => {
        const before = await database.getMany(keys)
        await own.write(options)
        last.clear()
        for (const [i, key] of keys.entries()) last.set(Buffer.from(key).toString('latin1'), before[i])
      },
    }
  }
  const after = async <T>(read: () => Promise<T>) => {
    await undone
    return read()
  }
  return instead(database, { batch, getMany: (keys) => after(() => database.getMany(keys)) })
}

/** As `openOver`, but for the comparison of stored statements with the signed root. */
async function openUnchecked(parts: Parts): Promise<ServedLog> {
  const { config, keys, store, guard, now, limits, fatal } = parts
  const signed = await store.signed()
  if (!signed || signed.head.size < guard.last.size) throw new LogError('log_behind_guard', 'it is behind')
  const edge = new Edge()
  for (let n = 0; n * 256 < signed.head.size; n++) {
    for await (const piece of store.packedStatements(n)) for (const each of unpack(piece)) edge.append(sha256(each))
  }
  edge.settle()
  const publication = new Publication(signed)
  const reader = new StoredLog(store, edge, publication)
  const authorities = await rebuildAuthorities(store)
  const { origin } = config
  const sequencer = createSequencer({
    ...{
      origin,
      store,
      guard,
      edge,
      publication,
      reader,
      keys,
      policy: authorities.policy().fields,
      now,
      limits,
      fatal,
    },
  })
  return { reader, sequencer, close: () => closeAll(sequencer, store, guard) }
}
