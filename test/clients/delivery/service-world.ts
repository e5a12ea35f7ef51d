/**
 * An issuer's service over the log of `issuer-world.ts`: its clock and timers are a variable, its connection to the log can be cut.
 *
 * @module
 */
import { type IssuerLog, IssuerService, type LogLine, type ServedWorkload } from '../../../clients/issuer/index.ts'
import { UnavailableError } from '../../../merkle/index.ts'
import { publicJwkOf } from '../../../statement/index.ts'
import { auditor, createWorld, issuer, SBOM, SUBJECT, type World, workload } from '../issuer-world.ts'

export interface ServiceWorld {
  readonly world: World
  readonly service: IssuerService
  readonly lines: LogLine[]
  /** What was registered, and with which of the clear fields. */
  /** What the service could not go on after. */
  failure?: unknown
  readonly registered: { readonly type: string; readonly fields: Record<string, unknown> }[]
  /** While false, the log does not answer. */
  reachable: boolean
  /** Called before each record is registered. */
  beforeRegistering: () => Promise<void>
  /** The results that configured workloads have in their files. */
  results: readonly string[]
  readonly timer: (milliseconds: number, then: () => void) => () => void
  /** Seconds until the next timer, or undefined. */
  next(): number | undefined
  /** Lets the clock go on, timers included. */
  advance(seconds: number): Promise<void>
  /** Resolves when there are so many lines of this event in all. */
  heard(event: LogLine['event'], count?: number): Promise<LogLine>
}

export const TRUST_BUNDLE = '{"keys":[],"spiffe_sequence":1}'

export async function createServiceWorld(
  workloads: (world: ServiceWorld) => readonly Partial<ServedWorkload>[],
  given?: World,
): Promise<ServiceWorld> {
  const world = given ?? (await createWorld())
  const timers = new Set<{ at: number; then: () => void }>()
  const made: Omit<ServiceWorld, 'service'> & { service?: IssuerService } = {
    world,
    lines: [],
    registered: [],
    reachable: true,
    beforeRegistering: async () => {},
    results: [],
    timer: (milliseconds, then) => {
      const timer = { at: world.clock.now + milliseconds / 1000, then }
      timers.add(timer)
      return () => timers.delete(timer)
    },
    next: () => {
      const soonest = Math.min(...[...timers].map(({ at }) => at))
      return Number.isFinite(soonest) ? soonest - world.clock.now : undefined
    },
    async advance(seconds) {
      const end = world.clock.now + seconds
      for (;;) {
        const [due] = [...timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)
        if (!due) break
        timers.delete(due)
        world.clock.now = Math.max(world.clock.now, Math.ceil(due.at))
        due.then()
        await turns(3)
      }
      world.clock.now = end
    },
    async heard(event, count = 1) {
      const found = () => made.lines.filter((line) => line.event === event)
      await until(
        () => found().length >= count,
        `${count} of ${event}, among ${JSON.stringify(made.lines)}, failed: ${String(made.failure)}`,
      )
      return found()[count - 1]!
    },
  }
  const live = made as ServiceWorld
  const defaults = {
    subject: SUBJECT,
    kind: 'wit',
    policyId: 'workloads',
    lifetime: 3600,
    uids: [],
    sbom: async () => SBOM,
  } as const
  const service = new IssuerService({
    client: cuttable(live),
    key: issuer,
    workloads: workloads(live).map((each) => ({ ...defaults, recipients: [publicJwkOf(auditor)], ...each })),
    trustBundle: TRUST_BUNDLE,
    now: () => world.clock.now,
    random: world.random,
    timer: live.timer,
    log: (line) => live.lines.push(line),
  })
  service.failed.catch((error: unknown) => {
    live.failure = error
  })
  return Object.assign(live, { service })
}

/** The configured half of a workload: results as the world has them. */
export const fromFiles = (live: ServiceWorld): NonNullable<ServedWorkload['configured']> => ({
  workloadKey: publicJwkOf(workload),
  results: async () => live.results,
})

function cuttable(live: ServiceWorld): IssuerLog {
  const { client } = live.world
  return new Proxy(client, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      return async (...args: unknown[]) => {
        if (!live.reachable) throw new UnavailableError('cut off')
        if (name === 'registerRecord') {
          await live.beforeRegistering()
          live.registered.push(args[0] as ServiceWorld['registered'][number])
        }
        return (value as (...all: unknown[]) => unknown).apply(target, args)
      }
    },
  })
}

/** Waits by turns of the event loop: what is waited for is real work, under way already. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 8_000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`)
    await turns(1)
  }
}

export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}
