/**
 * What is counted of the process: memory, processor time, garbage collection, and how late the event loop is.
 *
 * Names are those that Prometheus' client libraries use, where they have one for the same thing.
 *
 * @module
 */
import { readdir, readFile } from 'node:fs/promises'
import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks'
import type { Registry } from './registry.ts'

const GC_SECONDS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1]
const DELAY_SECONDS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5]
/** How often the event loop is asked how late it is, in milliseconds: what holds it up for longer is seen. */
const DELAY_INTERVAL = 20

const GC_KINDS: Readonly<Record<number, string>> = {
  [constants.NODE_PERFORMANCE_GC_MINOR]: 'minor',
  [constants.NODE_PERFORMANCE_GC_MAJOR]: 'major',
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL]: 'incremental',
  [constants.NODE_PERFORMANCE_GC_WEAKCB]: 'weakcb',
}

/** Node's types have no `detail`. */
type GcEntry = PerformanceEntry & { readonly detail: { readonly kind: number } }

/** Returns what ends it. */
export function startProcessMetrics(registry: Registry): () => void {
  const gc = registry.histograms('nodejs_gc_duration_seconds', 'Of garbage collection, by its kind.', GC_SECONDS, {
    kind: new Set(Object.values(GC_KINDS)),
  })
  const collections = new PerformanceObserver((list) => {
    for (const { detail, duration } of list.getEntries() as GcEntry[]) {
      const kind = GC_KINDS[detail.kind]
      if (kind !== undefined) gc(kind).observe(duration / 1000)
    }
  })
  collections.observe({ entryTypes: ['gc'] })

  const delay = registry.histogram(
    'nodejs_eventloop_delay_seconds',
    `How late the event loop was, asked every ${DELAY_INTERVAL} ms.`,
    DELAY_SECONDS,
  )
  let due = performance.now() + DELAY_INTERVAL
  const asking = setInterval(() => {
    const now = performance.now()
    delay.observe(Math.max(0, now - due) / 1000)
    due = now + DELAY_INTERVAL
  }, DELAY_INTERVAL)
  asking.unref()

  registerProcessGauges(registry)
  return () => {
    clearInterval(asking)
    collections.disconnect()
  }
}

function registerProcessGauges(registry: Registry): void {
  const memory = (part: keyof NodeJS.MemoryUsage) => () => process.memoryUsage()[part]
  registry.gauge('process_resident_memory_bytes', 'Resident memory.', () => process.memoryUsage.rss())
  registry.gauge('nodejs_heap_size_used_bytes', 'Of JavaScript’s heap, in use.', memory('heapUsed'))
  registry.gauge('nodejs_heap_size_total_bytes', 'Of JavaScript’s heap, taken.', memory('heapTotal'))
  registry.gauge(
    'nodejs_external_memory_bytes',
    'Held by objects of the heap outside of it: buffers, keys.',
    memory('external'),
  )
  registry.readCounter('process_cpu_seconds_total', 'Processor time, of all threads.', () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1e6
  })
  const startedAt = Date.now() / 1000 - process.uptime()
  registry.gauge('process_start_time_seconds', 'When the process started.', () => startedAt)
  // Linux; elsewhere they are not written.
  registry.gauge('process_open_fds', 'Open file descriptors.', async () => (await readdir('/proc/self/fd')).length)
  registry.gauge('process_max_fds', 'How many there may be.', async () => {
    const limit = /^Max open files\s+(\d+)/m.exec(await readFile('/proc/self/limits', 'utf8'))
    return limit ? Number(limit[1]) : undefined
  })
}
