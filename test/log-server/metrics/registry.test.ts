// How numbers are written: both formats, byte for byte, and what can never be among them.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Registry } from '../../../log-server/metrics/registry.ts'

function filled(): Registry {
  const registry = new Registry()
  registry.counter('a_total', 'Counted.').add(3)
  const count = registry.counters('b_total', 'By code.', { code: new Set(['x', 'y']) })
  count('y').add()
  const seconds = registry.histogram('c_seconds', 'Took.', [0.5, 1])
  for (const value of [0.5, 0.51, 1, 7]) seconds.observe(value)
  registry
    .histograms('d_seconds', 'By step.', [1], { step: new Set(['one']) })('one')
    .observe(0)
  registry.gauge('e', 'Read.', () => 1e-7)
  registry.gauge('f', 'Read later.', async () => [[['k'], Number.POSITIVE_INFINITY]], ['kind'])
  registry.readCounter('g_total', 'Counted elsewhere.', () => 9)
  return registry
}

const TEXT = `# HELP a_total Counted.
# TYPE a_total counter
a_total 3
# HELP b_total By code.
# TYPE b_total counter
b_total{code="y"} 1
# HELP c_seconds Took.
# TYPE c_seconds histogram
c_seconds_bucket{le="0.5"} 1
c_seconds_bucket{le="1.0"} 3
c_seconds_bucket{le="+Inf"} 4
c_seconds_sum 9.01
c_seconds_count 4
# HELP d_seconds By step.
# TYPE d_seconds histogram
d_seconds_bucket{step="one",le="1.0"} 1
d_seconds_bucket{step="one",le="+Inf"} 1
d_seconds_sum{step="one"} 0
d_seconds_count{step="one"} 1
# HELP e Read.
# TYPE e gauge
e 1e-7
# HELP f Read later.
# TYPE f gauge
f{kind="k"} +Inf
# HELP g_total Counted elsewhere.
# TYPE g_total counter
g_total 9
`

describe('numbers', () => {
  it('are written in the text format 0.0.4', async () => {
    assert.equal(await filled().write('text'), TEXT)
  })

  it('are written as OpenMetrics: counters by the name without its ending, and an end', async () => {
    const expected = TEXT.replaceAll(/^# (HELP|TYPE) (\w+)_total /gm, '# $1 $2 ')
    assert.equal(await filled().write('openMetrics'), `${expected}# EOF\n`)
  })

  it('are absent where they cannot be read, and the others are there', async () => {
    const registry = new Registry()
    registry.gauge('gone', 'Fails.', () => Promise.reject(new Error('EIO')))
    registry.gauge('thrown', 'Throws.', () => {
      throw new Error('EIO')
    })
    registry.gauge('unknown', 'Is not known.', () => undefined)
    registry.gauge('there', 'Is.', () => 1)
    const lines = (await registry.write('text')).split('\n').filter((line) => !line.startsWith('#') && line !== '')
    assert.deepEqual(lines, ['there 1'])
  })

  it('have no label that was not foreseen, whatever came in', () => {
    const registry = new Registry()
    const count = registry.counters('x_total', 'x', { code: new Set(['a']), route: new Set(['/']) })
    for (const values of [['a'], ['a', '/x'], ['__proto__', '/'], ['a"} 1\nforged', '/'], ['a', '/', '/'], []]) {
      assert.throws(() => count(...values), /closed lists/)
    }
    assert.equal(count('a', '/').value, 0)
  })

  it('are one family each, named for what they are', () => {
    const registry = new Registry()
    registry.counter('x_total', 'x')
    assert.throws(() => registry.counter('x_total', 'x'), /one family/)
    assert.throws(() => registry.gauge('x', 'beside it', () => 1), /one family/)
    assert.throws(() => registry.counter('z', 'z'), /named/)
    assert.throws(() => registry.gauge('y_total', 'y', () => 1), /named/)
  })
})
