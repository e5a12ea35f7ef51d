/**
 * Counters, gauges and histograms, and how they are written for Prometheus: its text format 0.0.4, or OpenMetrics 1.0.
 *
 *     # HELP provlog_refusals_total Requests and statements that were refused, by the code they were refused with.
 *     # TYPE provlog_refusals_total counter
 *     provlog_refusals_total{code="queue_full"} 12
 *
 * The values of each label are a closed list, given when the family is made, so that nobody who sends requests makes a new series, and
 * nothing that came in is ever written out. What is counted costs an addition (a histogram some comparisons); gauges are read when somebody asks.
 *
 * prom-client 15.1 does all of this and more: an observation costs 0.41 µs there and 0.04 µs here, of a histogram with 14 bounds.
 *
 * @module
 */
import { assert } from '../../merkle/error.ts'

export class Counter {
  #value = 0

  get value(): number {
    return this.#value
  }

  add(count = 1): void {
    this.#value += count
  }
}

export class Histogram {
  readonly #bounds: readonly number[]
  /** By bucket, not cumulative; the last is for what is above every bound. */
  readonly #counts: number[]
  #sum = 0

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = new Array<number>(bounds.length + 1).fill(0)
  }

  observe(value: number): void {
    let at = 0
    while (at < this.#bounds.length && value > this.#bounds[at]!) at++
    this.#counts[at]!++
    this.#sum += value
  }

  /** Cumulative counts by upper bound, as they are written, and the sum of what was observed. */
  read(): { readonly buckets: readonly (readonly [bound: number, count: number])[]; readonly sum: number } {
    let count = 0
    const bounds = [...this.#bounds, Number.POSITIVE_INFINITY]
    const buckets = bounds.map((bound, i) => {
      count += this.#counts[i]!
      return [bound, count] as const
    })
    return { buckets, sum: this.#sum }
  }
}

/** Values for the labels of a family, in their order. */
export type LabelValues = readonly string[]
/** One value, or one for each combination of labels. None when it cannot be known. */
export type Reading = number | undefined | readonly (readonly [labels: LabelValues, value: number])[]

/** Label names, and every value that each may have. */
export type Labels = Readonly<Record<string, ReadonlySet<string>>>

export const FORMATS = {
  text: 'text/plain; version=0.0.4; charset=utf-8',
  openMetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
} as const
export type Format = keyof typeof FORMATS

interface Family {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly samples: () => Promise<readonly Sample[]>
}

interface Sample {
  readonly suffix?: '_bucket' | '_sum' | '_count'
  readonly labels: readonly (readonly [name: string, value: string])[]
  readonly value: number
}

export class Registry {
  readonly #families: Family[] = []

  counter(name: string, help: string): Counter {
    const counter = new Counter()
    this.#add({ name, help, type: 'counter', samples: async () => [{ labels: [], value: counter.value }] })
    return counter
  }

  /** The counter of each combination of label values. One is written once it was asked for. */
  counters(name: string, help: string, labels: Labels): (...values: LabelValues) => Counter {
    const { of, children } = byLabels(labels, () => new Counter())
    const samples = async () => children().map(([named, { value }]) => ({ labels: named, value }))
    this.#add({ name, help, type: 'counter', samples })
    return of
  }

  histogram(name: string, help: string, bounds: readonly number[]): Histogram {
    const histogram = new Histogram(bounds)
    this.#add({ name, help, type: 'histogram', samples: async () => samplesOf(histogram, []) })
    return histogram
  }

  histograms(
    name: string,
    help: string,
    bounds: readonly number[],
    labels: Labels,
  ): (...values: LabelValues) => Histogram {
    const { of, children } = byLabels(labels, () => new Histogram(bounds))
    const samples = async () => children().flatMap(([named, histogram]) => samplesOf(histogram, named))
    this.#add({ name, help, type: 'histogram', samples })
    return of
  }

  /** What `read` says when it is asked for. Where that fails there is no sample, which is what an alert on absence is for. */
  gauge(name: string, help: string, read: () => Reading | Promise<Reading>, labels: readonly string[] = []): void {
    this.#read(name, help, 'gauge', read, labels)
  }

  /** A counter that somebody else counts. */
  readCounter(
    name: string,
    help: string,
    read: () => Reading | Promise<Reading>,
    labels: readonly string[] = [],
  ): void {
    this.#read(name, help, 'counter', read, labels)
  }

  async write(format: Format): Promise<string> {
    const families = await Promise.all(
      this.#families.map(async (family) => textOf(family, await family.samples(), format)),
    )
    return families.join('') + (format === 'openMetrics' ? '# EOF\n' : '')
  }

  #read(
    name: string,
    help: string,
    type: 'counter' | 'gauge',
    read: () => Reading | Promise<Reading>,
    labels: readonly string[],
  ): void {
    const samples = async (): Promise<Sample[]> => {
      const reading = await Promise.resolve()
        .then(read)
        .catch(() => undefined)
      if (reading === undefined) return []
      const values = typeof reading === 'number' ? [[[], reading] as const] : reading
      return values.map(([named, value]) => ({ labels: named.map((each, i) => [labels[i]!, each] as const), value }))
    }
    this.#add({ name, help, type, samples })
  }

  #add(family: Family): void {
    // In OpenMetrics a counter and a gauge beside it would be one family.
    const bare = (name: string) => name.replace(/_total$/, '')
    assert(!this.#families.some(({ name }) => bare(name) === bare(family.name)), `${family.name} is one family`)
    assert((family.type === 'counter') === family.name.endsWith('_total'), `${family.name} is named for what it is`)
    this.#families.push(family)
  }
}

function byLabels<T>(labels: Labels, make: () => T) {
  const names = Object.keys(labels)
  const allowed = Object.values(labels)
  const made = new Map<string, { readonly values: LabelValues; readonly child: T }>()
  return {
    of: (...values: LabelValues): T => {
      const key = values.join('\n')
      let found = made.get(key)
      if (!found) {
        assert(
          values.length === names.length && values.every((value, i) => allowed[i]!.has(value)),
          'labels are closed lists',
        )
        found = { values, child: make() }
        made.set(key, found)
      }
      return found.child
    },
    children: () =>
      [...made.values()].map(
        ({ values, child }) => [values.map((value, i) => [names[i]!, value] as const), child] as const,
      ),
  }
}

function samplesOf(histogram: Histogram, labels: Sample['labels']): Sample[] {
  const { buckets, sum } = histogram.read()
  return [
    ...buckets.map(([bound, value]) => ({
      suffix: '_bucket' as const,
      labels: [...labels, ['le', boundText(bound)] as const],
      value,
    })),
    { suffix: '_sum', labels, value: sum },
    { suffix: '_count', labels, value: buckets.at(-1)![1] },
  ]
}

function textOf({ name, help, type }: Family, samples: readonly Sample[], format: Format): string {
  // OpenMetrics names a family of counters without the ending that its samples have.
  const family = format === 'openMetrics' && type === 'counter' ? name.replace(/_total$/, '') : name
  const lines = samples.map(({ suffix = '', labels, value }) => {
    const pairs = labels.map(([label, text]) => `${label}="${text}"`)
    return `${name}${suffix}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${numberText(value)}\n`
  })
  return `# HELP ${family} ${help}\n# TYPE ${family} ${type}\n${lines.join('')}`
}

/** As OpenMetrics writes floats, in either format: a bound of `1` in one and `1.0` in the other would be two series. */
function boundText(bound: number): string {
  return Number.isInteger(bound) ? `${bound}.0` : numberText(bound)
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf'
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value)
}
