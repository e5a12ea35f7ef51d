// POST /v1/entries over a real log: what a batch is, what refuses the whole of it, and that each statement in it stands for itself.
import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { LightMyRequestResponse } from 'fastify'
import { Admission } from '../../log-server/admission/admission.ts'
import { MAX_BODY_BYTES, MAX_STATEMENTS } from '../../log-server/routes/batch.ts'
import { concatBytes } from '../../merkle/index.ts'
import { encodePublicKey, type Link } from '../../provenance/index.ts'
import { withOtherS } from '../../statement/ecdsa-malleability.ts'
import {
  asBytes,
  type CborValue,
  decodeCbor,
  decodeProblem,
  encodeCbor,
  encodeCborSequence,
  encodeCoseSign1,
  importVerificationKey,
  parseReceipt,
  parseSignedStatement,
  splitCborSequence,
  type VerificationKey,
  verifyReceipt,
} from '../../statement/index.ts'
import { createParty, digestOf, FIELDS, ORIGIN, type Party, stranger } from '../provenance/small-log.ts'
import {
  assertRefused,
  assertUnchanged,
  type Built,
  CBOR_PROBLEM,
  issuer,
  JSON_PROBLEM,
  NOW,
  type ServedLog,
  serveLog,
} from './served-log.ts'

let world: ServedLog
let receiptKey: VerificationKey
before(async () => {
  world = await serveLog()
  receiptKey = await importVerificationKey(world.log.authorities.policy().receiptKeys[0]!)
})
after(() => world.close())

const post = (
  body: Uint8Array,
  headers = {},
  log = world,
  remoteAddress = '127.0.0.1',
): Promise<LightMyRequestResponse> =>
  log.app.inject({
    method: 'POST',
    remoteAddress,
    url: '/v1/entries',
    headers: { 'content-type': 'application/cbor-seq', ...headers },
    payload: Buffer.from(body),
  })

/** What became of each: the index in a receipt that verifies, or the code of the refusal. */
async function register(submissions: readonly Uint8Array[], log = world): Promise<(number | string)[]> {
  const answer = await post(encodeCborSequence(submissions), {}, log)
  assert.equal(answer.statusCode, 200, answer.payload)
  assert.equal(answer.headers['content-type'], 'application/cbor-seq')
  assert.equal(answer.headers['cache-control'], 'no-store')
  const items = splitCborSequence(new Uint8Array(answer.rawPayload), submissions.length)
  assert.equal(items.length, submissions.length)
  return Promise.all(
    items.map(async (item, i) => {
      const value: CborValue = decodeCbor(item)
      if (value instanceof Map) return decodeProblem(item).code ?? 'no code'
      const { entry } = parseSignedStatement(submissions[i]!)
      const [jwk] = log.log.authorities.policy().receiptKeys
      const key = log === world ? receiptKey : await importVerificationKey(jwk!)
      return (await verifyReceipt(parseReceipt(asBytes(value, 'a receipt')), entry, key, { origin: ORIGIN })).index
    }),
  )
}

let policies = 0
/** An honest issuance policy, unlike all others. */
const policy = (by?: Party, log = world): Promise<Built> =>
  log.build('issuance-policy', { fields: { ...FIELDS['issuance-policy'], policyId: `policy ${++policies}` } }, by)
const policiesOf = async (count: number) =>
  (await Promise.all(Array.from({ length: count }, () => policy()))).map(({ submission }) => submission)

describe('a batch', () => {
  it('is answered with a receipt for each statement, in order', async () => {
    const { size } = world.log.reader.treeHead()
    const expected = Array.from({ length: 70 }, (_, i) => size + i)
    assert.deepEqual(await register(await policiesOf(70)), expected)
  })

  it('may be of one statement', async () => {
    const { size } = world.log.reader.treeHead()
    assert.deepEqual(await register(await policiesOf(1)), [size])
  })

  it('of as many as it may have is taken', async () => {
    const [one] = await policiesOf(1)
    const { size } = world.log.reader.treeHead()
    const answers = await register(Array.from({ length: MAX_STATEMENTS }, () => one!))
    assert.deepEqual(new Set(answers), new Set([size]))
  })

  it('brings what a single registration of the same would be answered with, and back', async () => {
    const [first, second] = await policiesOf(2)
    const { size } = world.log.reader.treeHead()
    assert.equal((await world.post(first!)).statusCode, 201)
    assert.deepEqual(await register([second!, first!]), [size + 1, size])
    assert.equal((await world.post(second!)).statusCode, 201)
    assert.equal(world.log.reader.treeHead().size, size + 2)
  })

  it('with the same statement twice has one entry for both', async () => {
    const [one, other] = await policiesOf(2)
    const { size } = world.log.reader.treeHead()
    assert.deepEqual(await register([one!, other!, one!]), [size, size + 1, size])
  })
})

describe('a statement that is refused', () => {
  it('leaves the others as they are', async () => {
    const good = await policiesOf(4)
    const [forged, twin, unknown] = [await policy(), await policy(), await policy(stranger)]
    const bad = [...forged.submission]
    bad[bad.length - 1]! ^= 1
    const large = await world.build('issuance-policy', {
      fields: { ...FIELDS['issuance-policy'], policyId: 'large', content: new Uint8Array(300_000) },
    })
    const credential = await world.build('credential-provenance')
    const { size } = world.log.reader.treeHead()
    assert.deepEqual(
      await register([
        good[0]!,
        new Uint8Array(),
        good[1]!,
        Uint8Array.of(0xff),
        Uint8Array.from(bad),
        large.submission,
        good[2]!,
        credential.submission,
        unknown.submission,
        good[0]!,
        good[3]!,
        twin.submission,
      ]),
      [
        size,
        'malformed_cbor',
        size + 1,
        'malformed_cbor',
        'bad_signature',
        'too_large',
        size + 2,
        'duplicate_credential',
        'unknown_key',
        size,
        size + 3,
        size + 4,
      ],
    )
  })

  it('for what another in the batch has comes after that one, in whichever order they are', async () => {
    const fields = { ...FIELDS['credential-provenance'], credentialDigest: digestOf('twice in a batch') }
    const [first, second] = await Promise.all([1, 2].map(() => world.build('credential-provenance', { fields })))
    const { size } = world.log.reader.treeHead()
    assert.deepEqual(await register([first!.submission, second!.submission]), [size, 'duplicate_credential'])
  })

  it('is told with status and detail, as concise problem details', async () => {
    const answer = await post(encodeCborSequence([(await policy(stranger)).submission]))
    const [item] = splitCborSequence(new Uint8Array(answer.rawPayload), 1)
    const { status, code, title, detail } = decodeProblem(item!)
    assert.deepEqual({ status, code, title }, { status: 403, code: 'unknown_key', title: 'Rejected' })
    assert.notEqual(detail, '')
  })
})

describe('a statement that depends on one before it in the batch', () => {
  const previous = ({ statement }: Built): Link => ({ rel: 'previous', entry: statement.entry })

  it('may link to it, and is refused when the link leads to a later one', async () => {
    const first = await policy()
    const second = await world.build('issuance-policy', { links: [previous(first)] })
    const third = await world.build('issuance-policy', { links: [previous(second)] })
    const { size } = world.log.reader.treeHead()
    assert.deepEqual(await register([third.submission, first.submission, second.submission, third.submission]), [
      'link_dangling',
      size,
      size + 1,
      size + 2,
    ])
  })

  it('is refused when that one is', async () => {
    const unknown = await policy(stranger)
    const next = await world.build('issuance-policy', { links: [previous(unknown)] })
    const { size } = world.log.reader.treeHead()
    const [good] = await policiesOf(1)
    assert.deepEqual(await register([unknown.submission, next.submission, good!]), [
      'unknown_key',
      'link_dangling',
      size,
    ])
  })

  it('is answered with its receipt when it is a repetition, whoever may write by now', async () => {
    const small = await serveLog(3)
    try {
      const [first, second] = [await policy(undefined, small), await policy(undefined, small)]
      const replaced = await small.build('key-authorization', {
        links: [small.link('previous', 1)],
        fields: { ...FIELDS['key-authorization'], notBefore: 5_000 },
      })
      assert.deepEqual(await register([first.submission, replaced.submission], small), [3, 4])
      const again = [first.submission, replaced.submission, second.submission, small.statements[0]!.bytes]
      assert.deepEqual(await register(again, small), [3, 4, 'outside_key_validity', 0])
    } finally {
      await small.close()
    }
  })

  it('may be signed by a key that it authorized; before it, the key is unknown', async () => {
    const party = await createParty(21, 'spiffe://bank.example/another')
    const authorization = await world.build('key-authorization', {
      fields: {
        ...FIELDS['key-authorization'],
        subject: party.issuer,
        key: encodePublicKey(party.publicJwk),
      },
    })
    const [early, later] = [await policy(party), await policy(party)]
    const { size } = world.log.reader.treeHead()
    assert.deepEqual(await register([early.submission, authorization.submission, later.submission]), [
      'unknown_key',
      size,
      size + 1,
    ])
  })

  it('is judged by what it took away', async () => {
    const small = await serveLog(3)
    try {
      const [before, after] = [await policy(undefined, small), await policy(undefined, small)]
      const replaced = await small.build('key-authorization', {
        links: [small.link('previous', 1)],
        fields: { ...FIELDS['key-authorization'], notBefore: 5_000 },
      })
      const batch = [before.submission, replaced.submission, after.submission]
      assert.deepEqual(await register(batch, small), [3, 4, 'outside_key_validity'])
    } finally {
      await small.close()
    }
  })

  it('is not held up by statements that only claim to change who may write', async () => {
    const claims = await Promise.all(Array.from({ length: 50 }, () => world.build('key-authorization', {}, issuer)))
    const [good] = await policiesOf(1)
    const { size } = world.log.reader.treeHead()
    const answers = await register([...claims.map(({ submission }) => submission), good!])
    assert.deepEqual(answers, [...claims.map(() => 'role_not_authorized'), size])
  })
})

describe('what is wrong with the sequence', () => {
  const bstr = (bytes: Uint8Array) => encodeCbor(bytes)
  const cases: readonly (readonly [string, (good: Uint8Array) => Uint8Array, number, string])[] = [
    ['nothing', () => new Uint8Array(), 400, 'malformed_request'],
    ['a statement that is in no byte string', (good) => good, 400, 'malformed_cbor'],
    ['the last item cut short', (good) => concatBytes(bstr(good), bstr(good).slice(0, -1)), 400, 'malformed_cbor'],
    [
      'a length of which nothing follows',
      (good) => concatBytes(bstr(good), Uint8Array.of(0x5a, 0xff, 0xff, 0xff, 0xff)),
      400,
      'malformed_cbor',
    ],
    [
      'a length that is longer than it need be',
      (good) => concatBytes(bstr(good), Uint8Array.of(0x58, 1, 0)),
      400,
      'malformed_cbor',
    ],
    [
      'an indefinite length',
      (good) => concatBytes(bstr(good), Uint8Array.of(0x5f, 0x41, 0, 0xff)),
      400,
      'malformed_cbor',
    ],
    ['an array around it', (good) => encodeCbor([good, good]), 400, 'malformed_cbor'],
    ['text among it', (good) => concatBytes(bstr(good), encodeCbor('no')), 400, 'malformed_cbor'],
    ['too many items', () => new Uint8Array(MAX_STATEMENTS + 1).fill(0x40), 413, 'too_large'],
    ['too many bytes', () => encodeCbor(new Uint8Array(MAX_BODY_BYTES)), 413, 'too_large'],
  ]
  for (const [what, body, status, code] of cases) {
    it(`refuses the whole: ${what} (${code})`, async () => {
      const { submission } = await policy()
      const bytes = body(submission)
      await assertUnchanged(world, async () => {
        assertRefused(await post(bytes), { status, code, type: JSON_PROBLEM })
        assertRefused(await post(bytes, { accept: CBOR_PROBLEM }), { status, code })
      })
    })
  }

  it('reads its media type in any case (RFC 9110 §8.3.1)', async () => {
    const { submission } = await policy()
    const answer = await post(encodeCborSequence([submission]), { 'content-type': 'Application/CBOR-Seq' })
    assert.equal(answer.statusCode, 200)
  })

  for (const type of [
    'application/cose',
    'application/cbor',
    'application/cbor-seq; charset=utf-8',
    'application/cbor-seq\t',
    'application/json',
    'application/octet-stream',
    '',
  ]) {
    it(`refuses the media type ${JSON.stringify(type)} (unsupported_media_type)`, async () => {
      const { submission } = await policy()
      await assertUnchanged(world, async () => {
        const answer = await post(encodeCborSequence([submission]), { 'content-type': type })
        assertRefused(answer, { status: 415, code: 'unsupported_media_type', type: JSON_PROBLEM })
      })
    })
  }
})

describe('a log that has no room for a batch', () => {
  it('refuses the whole of it before anything is admitted (queue_full)', async () => {
    const small = await serveLog(4, { limits: { maxPending: 2 } })
    try {
      const three = await Promise.all([1, 2, 3].map(() => policy(undefined, small)))
      const submissions = three.map(({ submission }) => submission)
      await assertUnchanged(small, async () => {
        const answer = await post(encodeCborSequence(submissions), {}, small)
        assertRefused(answer, { status: 503, code: 'queue_full', type: JSON_PROBLEM })
        assert.equal(answer.headers['retry-after'], '1')
      })
      assert.deepEqual(await register(submissions.slice(1), small), [4, 5])
    } finally {
      await small.close()
    }
  })

  it('counts what it holds back down, whatever becomes of it', async () => {
    const { reader, authorities, sequencer, keys } = world.log
    const admission = new Admission({
      log: { reader, authorities, sequencer, keys },
      now: () => NOW,
      limits: { maxPending: 3 },
    })
    for (let i = 0; i < 5; i++) {
      const outcomes = await admission.admitAll([new Uint8Array(), ...(await policiesOf(2))])
      assert.deepEqual(
        outcomes.map((outcome) => outcome instanceof Error),
        [true, false, false],
      )
    }
  })
})

function connectionsTo({ app }: ServedLog): Promise<number> {
  return new Promise((resolve) => app.server.getConnections((_error, count) => resolve(count)))
}

describe('bodies on their way in', () => {
  const [whole, half] = [MAX_BODY_BYTES, MAX_BODY_BYTES / 2]
  const head = `POST /v1/entries HTTP/1.1\r\nHost: x\r\nContent-Type: application/cbor-seq\r\nContent-Length: ${whole}\r\n\r\n`

  it('take the room of what has arrived, and not of what was announced', async () => {
    const busy = await serveLog()
    const url = await busy.app.listen({ port: 0 })
    const sockets: Socket[] = []
    const requests = async (count: number, sent: number) => {
      for (let i = 0; i < count; i++) {
        const socket = connect(Number(new URL(url).port)).on('error', () => undefined)
        sockets.push(socket)
        const arrived = new Promise<IncomingMessage>((resolve) => busy.app.server.once('request', resolve))
        socket.write(Buffer.concat([Buffer.from(head), Buffer.alloc(sent)]))
        const { socket: received } = await arrived
        while (received.bytesRead < head.length + sent) await nextTurn()
      }
    }
    const batch = async (remoteAddress?: string) => {
      const { submission } = await policy(undefined, busy)
      return (await post(encodeCborSequence([submission]), {}, busy, remoteAddress)).statusCode
    }
    try {
      await requests(40, 0)
      assert.equal(await batch(), 200)
      // Half of 64 MiB, to the byte: as much as one address gets.
      await requests(16, half)
      const refused = await policy(undefined, busy)
      const answer = await post(encodeCborSequence([refused.submission]), {}, busy)
      assertRefused(answer, { status: 503, code: 'queue_full', type: JSON_PROBLEM })
      assert.equal(await batch('127.0.0.2'), 200)
      // Whoever gives up gives back.
      const closed = sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve)))
      for (const socket of sockets) socket.destroy()
      await Promise.all(closed)
      while ((await connectionsTo(busy)) > 0) await nextTurn()
      assert.equal(await batch(), 200)
    } finally {
      for (const socket of sockets) socket.destroy()
      await busy.close()
    }
  })
})

describe('a twin of a statement of the batch, by the malleability of ECDSA', () => {
  it('is refused, and names the entry of the other (conflict_signature)', async () => {
    const { statement } = await world.build('key-authorization', {
      fields: {
        ...FIELDS['key-authorization'],
        subject: stranger.issuer,
        key: encodePublicKey((await createParty(22, stranger.issuer)).publicJwk),
      },
    })
    const { sign1 } = statement
    const twin = encodeCoseSign1({ ...sign1, signature: withOtherS(sign1.signature) })
    const { size } = world.log.reader.treeHead()
    assert.deepEqual(await register([statement.bytes, twin]), [size, 'conflict_signature'])
  })
})
