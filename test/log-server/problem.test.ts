import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fastify from 'fastify'
import { redactingLogger } from '../../log-server/http/logger.ts'
import { problemOf, RequestError, registerProblems } from '../../log-server/problem.ts'
import { BusyError, LogError } from '../../log-server/types.ts'
import { MerkleError, UnavailableError } from '../../merkle/index.ts'
import { ProvenanceError } from '../../provenance/index.ts'
import { decodeProblem, StatementError } from '../../statement/index.ts'
import { CBOR_PROBLEM, JSON_PROBLEM, problemIn } from './served-log.ts'

describe('problemOf', () => {
  const cases: readonly (readonly [error: unknown, status: number, code: string, title: string])[] = [
    [new MerkleError('malformed_tile_path', 'x'), 400, 'malformed_tile_path', 'Invalid locator'],
    [new StatementError('malformed_cbor', 'x'), 400, 'malformed_cbor', 'Malformed request'],
    [new StatementError('unsupported_algorithm', 'x'), 400, 'unsupported_algorithm', 'Bad Signature Algorithm'],
    [new StatementError('missing_payload', 'x'), 400, 'missing_payload', 'Payload Missing'],
    [new StatementError('too_large', 'x'), 413, 'too_large', 'Content Too Large'],
    [new ProvenanceError('unknown_key', 'x'), 403, 'unknown_key', 'Rejected'],
    [new ProvenanceError('link_dangling', 'x'), 400, 'link_dangling', 'Rejected'],
    [new LogError('duplicate_credential', 'x'), 409, 'duplicate_credential', 'Rejected'],
    [new LogError('log_damaged', 'x'), 500, 'log_damaged', 'Internal Server Error'],
    [new RequestError('unknown_kid', 'x'), 404, 'unknown_kid', 'No such key'],
    [new BusyError('queue_full', 'x'), 503, 'queue_full', 'Service Unavailable'],
    [new UnavailableError('x'), 503, 'unavailable', 'Service Unavailable'],
  ]
  for (const [error, status, code, title] of cases) {
    it(`answers ${code} with ${status} ${title}`, () => {
      const problem = problemOf(error, 'req-1')
      assert.deepEqual([problem.status, problem.code, problem.title, problem.detail], [status, code, title, 'x'])
    })
  }

  it('says when to come back', () => {
    assert.equal(problemOf(new BusyError('queue_full', 'x', 7), 'req-1').retryAfter, 7)
    assert.equal(problemOf(new UnavailableError('x', { retryAfter: 1.2 }), 'req-1').retryAfter, 2)
  })

  it('says nothing of an error that nobody foresaw but the request it happened in', () => {
    for (const error of [new Error('password123'), new TypeError('x is not a function'), 'text', null, undefined, 7]) {
      const { status, code, detail } = problemOf(error, 'req-1')
      assert.deepEqual([status, code, detail], [500, 'internal', 'request req-1'])
    }
  })

  it('has those come back who came when no descriptor was left', () => {
    const error = Object.assign(new Error("EMFILE: too many open files, open '/secret'"), { code: 'EMFILE' })
    const { status, code, detail, retryAfter } = problemOf(error, 'req-1')
    assert.deepEqual([status, code, retryAfter], [503, 'unavailable', 1])
    assert.doesNotMatch(detail, /secret/)
  })

  it('is not fooled by a code of an error that is none of ours', () => {
    const error = Object.assign(new Error('secret'), { code: 'not_found', statusCode: 404 })
    assert.equal(problemOf(error, 'req-1').status, 500)
  })

  it('cuts a message short, and never through a character', () => {
    const { detail } = problemOf(new StatementError('malformed_cbor', `${'x '.repeat(149)}x😀`), 'req-1')
    assert.equal(detail, `${'x '.repeat(149)}x`)
  })
})

describe('the form of a problem', () => {
  const cases: readonly (readonly [path: string, accept: string | undefined, form: string])[] = [
    ['/entries/x', undefined, CBOR_PROBLEM],
    ['/entries/x/statement', '*/*', CBOR_PROBLEM],
    ['/entries?x', undefined, CBOR_PROBLEM],
    ['/.well-known/scitt-keys/x', undefined, CBOR_PROBLEM],
    ['/entries/x', 'application/cose', CBOR_PROBLEM],
    ['/entries/x', 'application/problem+json', JSON_PROBLEM],
    ['/entries/x', 'application/json', JSON_PROBLEM],
    ['/entries/x', 'application/cose, application/json;q=0.5', CBOR_PROBLEM],
    ['/entries/x', 'application/cose;q=0.5, application/json', JSON_PROBLEM],
    ['/entries/x', 'application/cose, application/problem+json', CBOR_PROBLEM],
    ['/entriesx', undefined, JSON_PROBLEM],
    ['/v1/x', undefined, JSON_PROBLEM],
    ['/v1/x', 'text/html, */*;q=0.1', JSON_PROBLEM],
    ['/v1/x', 'application/cbor', CBOR_PROBLEM],
    ['/v1/x', 'application/concise-problem-details+cbor', CBOR_PROBLEM],
    ['/v1/x', 'application/cbor;q=0', JSON_PROBLEM],
    ['/v1/x', ', ;;q=,q=x', JSON_PROBLEM],
    ['/v1/x', `${'a,'.repeat(2000)}application/cbor`, JSON_PROBLEM],
  ]
  for (const [path, accept, form] of cases) {
    it(`is ${form} for ${path}${accept ? ` and Accept: ${accept.slice(0, 60)}` : ''}`, async () => {
      const app = fastify()
      registerProblems(app)
      const answer = await app.inject({ url: path, headers: accept === undefined ? {} : { accept } })
      assert.equal(answer.statusCode, 404)
      assert.equal(answer.headers['content-type'], form)
      const { title, detail, code, status } = problemIn(answer)
      assert.deepEqual(
        { title, detail, code, status },
        { title: 'Not Found', detail: 'no such path', code: 'not_found', status: 404 },
      )
    })
  }

  it('carries Retry-After', async () => {
    const app = fastify()
    registerProblems(app)
    app.get('/entries/busy', async () => {
      throw new BusyError('queue_full', 'wait', 3)
    })
    const answer = await app.inject('/entries/busy')
    assert.equal(answer.headers['retry-after'], '3')
    assert.equal(decodeProblem(new Uint8Array(answer.rawPayload)).code, 'queue_full')
  })
})

describe('a failure of ours', () => {
  it('is logged with the route and the cause, and without address, headers or body', async () => {
    const lines: string[] = []
    const logger = { level: 'error', stream: { write: (line: string) => void lines.push(line) } }
    const app = fastify({ logger: redactingLogger(logger) })
    registerProblems(app)
    app.post('/v1/broken/:id', async () => {
      throw new Error('the disk is on fire', { cause: Object.assign(new Error('so it is'), { body: 'canary' }) })
    })
    const answer = await app.inject({
      method: 'POST',
      url: '/v1/broken/canary-in-path?token=canary-in-query',
      headers: { authorization: 'Bearer canary-in-header', 'content-type': 'application/json' },
      payload: '{"secret":"canary-in-body"}',
    })
    assert.equal(answer.statusCode, 500)
    assert.match(answer.json().detail, /^request /)
    assert.doesNotMatch(answer.payload, /fire/)
    assert.equal(lines.length, 1)
    assert.match(lines[0]!, /the disk is on fire.*so it is/)
    assert.match(lines[0]!, /\/v1\/broken\/:id/)
    assert.doesNotMatch(lines[0]!, /canary/)
  })

  it('is not logged when it is a refusal', async () => {
    const lines: string[] = []
    const logger = { level: 'error', stream: { write: (line: string) => void lines.push(line) } }
    const app = fastify({ logger: redactingLogger(logger) })
    registerProblems(app)
    app.get('/refused', async () => {
      throw new StatementError('malformed_cbor', 'x')
    })
    app.get('/busy', async () => {
      throw new BusyError('queue_full', 'x')
    })
    await app.inject('/refused')
    await app.inject('/busy')
    assert.deepEqual(lines, [])
  })
})
