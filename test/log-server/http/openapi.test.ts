// The description of the API and the API are the same thing: nothing undescribed, nothing described that is not there.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { HTTPMethods } from 'fastify'
import { buildApp } from '../../../log-server/app.ts'
import { assertRefused, JSON_PROBLEM, NOW, type ServedLog, serveLog } from '../served-log.ts'

interface Response {
  readonly $ref?: string
  readonly description: string
  readonly content?: Readonly<Record<string, { readonly schema: object }>>
}
interface Operation {
  readonly operationId: string
  readonly tags: readonly string[]
  readonly summary: string
  readonly parameters?: readonly {
    name: string
    in: string
    required?: boolean
    schema: object
    description?: string
  }[]
  readonly requestBody?: { readonly content: Readonly<Record<string, object>> }
  readonly responses: Readonly<Record<string, Response>>
}
interface Document {
  readonly openapi: string
  readonly info: { readonly title: string; readonly version: string }
  readonly tags: readonly { readonly name: string; readonly description: string }[]
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly responses: Readonly<Record<string, Response>> }
}

const METHODS: readonly HTTPMethods[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE']

let world: ServedLog
let document: Document
let operations: readonly { path: string; method: string; operation: Operation }[]
before(async () => {
  world = await serveLog(3)
  document = (await world.get('/openapi.json')).json()
  operations = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ path, method, operation })),
  )
})
after(() => world.close())

/** The path with something in the place of each parameter. */
const anyOf = (path: string) => path.replace(/\{[a-z]+\}/gi, 'x')

describe('GET /openapi.json', () => {
  it('is OpenAPI 3.1', async () => {
    const answer = await world.get('/openapi.json')
    assert.equal(answer.headers['content-type'], 'application/json')
    assert.equal(document.openapi, '3.1.0')
    assert.ok(document.info.title && document.info.version)
    assert.deepEqual(
      new Set(Object.keys(document)),
      new Set(['components', 'info', 'openapi', 'paths', 'servers', 'tags']),
    )
    assert.ok(operations.length > 20)
  })

  it('describes each operation whole', () => {
    const tags = document.tags.map(({ name }) => name)
    for (const { path, method, operation } of operations) {
      const name = `${method} ${path}`
      const { operationId, summary, responses, parameters = [] } = operation
      assert.match(operationId ?? '', /^[a-z][A-Za-z]+$/, name)
      assert.match(summary, /^[A-Z].*\.$/, name)
      assert.equal(operation.tags.length, 1, name)
      assert.ok(tags.includes(operation.tags[0]!), name)
      assert.ok(
        Object.keys(responses).some((status) => /^[23]\d\d$/.test(status)),
        name,
      )
      for (const [status, { description, content, $ref }] of Object.entries(responses)) {
        assert.match(status, /^(?:[2-5]\d\d|default)$/, name)
        assert.ok(description.length > 0, name)
        const media = Object.values(content ?? {})
        assert.ok(media.every(({ schema }) => typeof schema === 'object'))
        if ($ref !== undefined) assert.ok(document.components.responses[$ref.split('/').at(-1)!], name)
      }
      // Path parameters and the path name the same things.
      const inPath = parameters.filter((parameter) => parameter.in === 'path')
      assert.deepEqual(
        new Set(inPath.map((parameter) => parameter.name)),
        new Set([...path.matchAll(/\{([A-Za-z]+)\}/g)].map((match) => match[1])),
        name,
      )
      assert.ok(inPath.every(({ required }) => required === true))
    }
    const ids = operations.map(({ operation }) => operation.operationId)
    assert.equal(new Set(ids).size, ids.length)
  })

  it('has no route that nobody described, and so none that says nothing about who may ask', async () => {
    const app = buildApp({ log: world.log, now: () => NOW })
    // The hook that collects routes is the first thing in the application, so none can pass it.
    assert.throws(() => app.get('/new/:id', async () => 'new'), /described/)
    await app.close()
    for (const path of Object.keys(document.paths)) {
      assert.ok(world.app.hasRoute({ method: 'HEAD', url: routeOf(path) }), path)
    }
  })

  it('names no method that the path refuses, and leaves out none that it takes', async () => {
    for (const [path, item] of Object.entries(document.paths)) {
      for (const method of METHODS) {
        const answer = await world.app.inject({ method: method as 'GET', url: anyOf(path) })
        const described = Object.hasOwn(item, method.toLowerCase())
        assert.equal(answer.statusCode !== 405, described, `${method} ${path}: ${answer.statusCode}`)
        if (!described) {
          const allow = String(answer.headers['allow']).split(', ')
          assert.deepEqual(new Set(allow.map((each) => each.toLowerCase())), new Set(Object.keys(item)))
        }
      }
    }
  })

  it('leaves the bytes of answers alone', async () => {
    const plain = await world.get('/v1/proof/consistency/1/3')
    assert.deepEqual(Object.keys(plain.json()), ['from', 'to', 'proof'])
    assert.equal(plain.headers['content-type'], 'application/json; charset=utf-8')
  })
})

/** As it was registered. */
function routeOf(path: string): string {
  const wildcard = /^\/(?:tile|v1\/statements)\//.test(path)
  return wildcard ? path.replace(/\{[a-z]+\}$/i, '*') : path.replace(/\{([A-Za-z]+)\}/g, ':$1')
}

describe('GET /docs', () => {
  it('is a page of this server alone', async () => {
    const page = await world.get('/docs')
    assert.equal(page.headers['content-type'], 'text/html; charset=utf-8')
    const policy = String(page.headers['content-security-policy'])
    assert.match(policy, /^default-src 'none';/)
    assert.doesNotMatch(policy, /unsafe|http|\*/)
    assert.doesNotMatch(page.payload, /\/\/|<script>|style=| on[a-z]+=/)
    const parts = [...page.payload.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1]!)
    assert.equal(parts.length, 4)
    for (const part of parts) {
      const answer = await world.get(`/${part}`)
      assert.equal(answer.statusCode, 200, part)
      assert.ok(answer.rawPayload.length > 100, part)
      assert.equal(answer.headers['content-security-policy'], policy)
      assert.equal(answer.headers['x-content-type-options'], 'nosniff')
    }
  })

  it('has no other parts (not_found), and none outside', async () => {
    for (const file of [
      'index.html',
      'x',
      '..%2fpackage.json',
      '..%2f..%2f..%2fpackage.json',
      '%2e%2e',
      'constructor',
    ]) {
      const answer = await world.get(`/docs/${file}`)
      assertRefused(answer, { status: 404, code: 'not_found', type: JSON_PROBLEM })
    }
    for (const path of ['/docs/', '/docs/../config.json', '/docs/static/index.html', '/docs/json', '/Docs']) {
      assert.equal((await world.get(path)).json().code, 'not_found', path)
    }
    assert.equal((await world.get(`/docs/${'x'.repeat(65)}`)).json().code, 'invalid_locator')
    assert.equal((await world.get('/docs/%e')).json().code, 'invalid_locator')
  })
})
