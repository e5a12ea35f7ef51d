// What the log admits and what it refuses, asked over HTTP of a real log: each refusal by status, code and media type, and
// with the log the same before and after.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Admission } from '../../../log-server/admission/admission.ts'
import { BusyError, type Candidate } from '../../../log-server/types.ts'
import { concatBytes, equalBytes, fromHex, toHex, utf8 } from '../../../merkle/index.ts'
import { encodePublicKey, type NewRecord } from '../../../provenance/index.ts'
import { withOtherS } from '../../../statement/ecdsa-malleability.ts'
import {
  attachWraps,
  type CborValue,
  encodeCbor,
  encodeCoseSign1,
  importVerificationKey,
  parseReceipt,
  parseSignedStatement,
  signStatement,
  verifyReceipt,
  wrapKeys,
} from '../../../statement/index.ts'
import { digestOf, FIELDS, ORIGIN, type Party, stranger } from '../../provenance/small-log.ts'
import {
  assertRefused,
  assertUnchanged,
  issuer,
  NOW,
  type Refusal,
  type ServedLog,
  serveLog,
  verifier,
} from '../served-log.ts'

let world: ServedLog
before(async () => {
  world = await serveLog()
})
after(() => world.close())

/** An unregistered, honest status record: what the cases below start from. */
const status = (change: Partial<NewRecord<'credential-status'>> = {}, by?: Party, at?: number) =>
  world.build('credential-status', change, by, at)

describe('registering a statement', () => {
  it('answers 201 with a receipt that verifies, and the location of the entry', async () => {
    const { statement, submission } = await status()
    const answer = await world.post(submission)
    assert.equal(answer.statusCode, 201)
    assert.equal(answer.headers['content-type'], 'application/cose')
    assert.equal(answer.headers['location'], `/entries/0.${world.log.reader.treeHead().size - 1}`)

    const [jwk] = world.log.authorities.policy().receiptKeys
    const receipt = parseReceipt(new Uint8Array(answer.rawPayload))
    await verifyReceipt(receipt, statement.entry, await importVerificationKey(jwk!), { origin: ORIGIN })
  })

  it('names the receipt by its own media type for a client that asks for it', async () => {
    const { submission } = await status()
    const answer = await world.post(submission, { accept: 'application/scitt-receipt+cose' })
    assert.equal(answer.headers['content-type'], 'application/scitt-receipt+cose')
  })

  for (const type of [
    'application/cose',
    'application/cose; cose-type="cose-sign1"',
    'application/cose;cose-type=cose-sign1',
    'Application/COSE ; COSE-Type="cose-sign1"',
    'application/scitt-statement+cose',
    'Application/SCITT-Statement+COSE',
  ]) {
    it(`reads ${type}`, async () => {
      const { submission } = await status()
      assert.equal((await world.post(submission, { 'content-type': type })).statusCode, 201)
    })
  }

  it('answers the same statement again with a receipt for the same entry, and does not grow', async () => {
    const { statement, submission } = await status()
    const first = await world.post(submission)
    await assertUnchanged(world, async () => {
      const again = await world.post(submission)
      assert.equal(again.statusCode, 201)
      assert.equal(again.headers['location'], first.headers['location'])
      assert.equal((await world.log.reader.locate(statement.entry))?.index, world.log.reader.treeHead().size - 1)
    })
  })

  it('gives two posts of one statement at the same time one entry', async () => {
    const { submission } = await status()
    const size = world.log.reader.treeHead().size
    const answers = await Promise.all([world.post(submission), world.post(submission), world.post(submission)])
    assert.deepEqual(
      answers.map(({ statusCode }) => statusCode),
      [201, 201, 201],
    )
    assert.equal(world.log.reader.treeHead().size, size + 1)
  })

  it('takes the unprotected header for nobody’s word: what it says changes neither entry nor answer', async () => {
    const { statement } = await status()
    const dressed = encodeCoseSign1({
      ...statement.sign1,
      unprotected: new Map<string, CborValue>([['note', 'let me in']]),
    })
    const answer = await world.post(dressed)
    assert.equal(answer.headers['location'], `/entries/0.${world.log.reader.treeHead().size - 1}`)
    const stored = await world.log.reader.statement(world.log.reader.treeHead().size - 1)
    assert.ok(stored && equalBytes(stored, statement.bytes))
  })

  it('keeps wraps beside the entry', async () => {
    const { statement } = await status()
    const wrap = await wrapFor(statement.payload)
    assert.equal((await world.post(attachWraps(statement.bytes, [wrap]))).statusCode, 201)
    assert.deepEqual(await world.log.reader.wraps(statement.entry), [wrap])
  })

  it('lets a key sign as soon as the receipt of its authorization is out', async () => {
    const key = encodePublicKey(stranger.publicJwk)
    const fields = { ...FIELDS['key-authorization'], subject: stranger.issuer, key }
    const small = await serveLog(3)
    try {
      assertRefused(await small.post((await small.build('issuance-policy', {}, stranger)).submission), {
        status: 403,
        code: 'unknown_key',
      })
      assert.equal((await small.post((await small.build('key-authorization', { fields })).submission)).statusCode, 201)
      assert.equal((await small.post((await small.build('issuance-policy', {}, stranger)).submission)).statusCode, 201)
    } finally {
      await small.close()
    }
  })
})

describe('a revocation', () => {
  it('is the last status of its credential, however many are sent with it', async () => {
    const small = await serveLog()
    const change = (to: 'suspended' | 'revoked' | 'reinstated') =>
      small.build('credential-status', { fields: { ...FIELDS['credential-status'], status: to } })
    const refused = { status: 409, code: 'already_revoked' }
    try {
      assert.equal((await small.post((await change('suspended')).submission)).statusCode, 201)
      const revocation = (await change('revoked')).submission
      const revocations = await Promise.all(
        [revocation, (await change('revoked')).submission].map((each) => small.post(each)),
      )
      assert.deepEqual(
        revocations.map(({ statusCode }) => statusCode).toSorted((one, other) => one - other),
        [201, 409],
      )
      await assertUnchanged(small, async () => {
        for (const to of ['suspended', 'reinstated', 'revoked'] as const)
          assertRefused(await small.post((await change(to)).submission), refused)
      })
      const bundle = await small.get(`/v1/provenance/${toHex(digestOf('credential'))}`)
      assert.equal(bundle.statusCode, 200)
    } finally {
      await small.close()
    }
  })
})

describe('a statement is refused', () => {
  const policy = FIELDS['issuance-policy']
  const cases: readonly (readonly [what: string, refusal: Refusal, submit: () => Promise<Uint8Array>])[] = [
    ['by a key that nobody authorized', { status: 403, code: 'unknown_key' }, () => submission(status({}, stranger))],
    [
      'by a key that is authorized for another role',
      { status: 403, code: 'role_not_authorized' },
      () => submission(status({}, verifier)),
    ],
    [
      'by the issuer, where only the admin may speak',
      { status: 403, code: 'role_not_authorized' },
      () => submission(world.build('key-authorization', {}, { ...issuer, issuer: ORIGIN })),
    ],
    [
      'by the right key in the name of somebody else',
      { status: 403, code: 'issuer_mismatch' },
      () => submission(status({}, { ...issuer, issuer: 'spiffe://bank.example/other' })),
    ],
    [
      'dated past the validity of its key',
      { status: 400, code: 'issued_in_future' },
      () => submission(status({}, undefined, 20_000)),
    ],
    [
      'that links to nothing on this log',
      { status: 400, code: 'link_dangling' },
      () =>
        submission(
          status({
            links: [{ rel: 'credential-provenance', entry: digestOf('nowhere') }, world.link('key-authorization', 1)],
          }),
        ),
    ],
    [
      'that links to a record of another type',
      { status: 400, code: 'link_wrong_type' },
      () => submission(status({ links: [world.link('credential-provenance', 6), world.link('key-authorization', 1)] })),
    ],
    [
      'without a link that its type needs',
      { status: 400, code: 'link_missing' },
      () => submission(status({ links: [world.link('credential-provenance', 8)] })),
    ],
    [
      'signed under another authorization than it links to',
      { status: 403, code: 'wrong_authorization' },
      () => submission(status({ links: [world.link('credential-provenance', 8), world.link('key-authorization', 2)] })),
    ],
    [
      'that changes the status of another credential than it links to',
      { status: 400, code: 'status_mismatch' },
      () =>
        submission(
          status({ fields: { ...FIELDS['credential-status'], credentialDigest: digestOf('another credential') } }),
        ),
    ],
    [
      'about a credential that has its record',
      { status: 409, code: 'duplicate_credential' },
      () => submission(world.build('credential-provenance')),
    ],
    [
      'with a unique tag that its signer used before',
      { status: 409, code: 'duplicate_unique_tag' },
      async () => {
        const unique = [digestOf('serial 1').slice(0, 16)]
        const first = await world.build('issuance-policy', { unique })
        const known = await world.post(first.submission)
        assert.equal(known.statusCode, 201)
        return submission(world.build('issuance-policy', { unique, fields: { ...policy, policyId: 'second' } }))
      },
    ],
    [
      'with a signature by another key than it names',
      { status: 400, code: 'bad_signature' },
      async () => {
        const { statement } = await status()
        const signature = Uint8Array.from(statement.sign1.signature, (byte, i) => (i === 0 ? byte ^ 1 : byte))
        return encodeCoseSign1({ ...statement.sign1, signature })
      },
    ],
    [
      'with a payload that is not what was signed',
      { status: 400, code: 'bad_signature' },
      async () => {
        const { statement } = await status()
        const other = await status()
        return encodeCoseSign1({ ...statement.sign1, payload: other.statement.payload })
      },
    ],
    [
      'in an algorithm that its key does not have',
      { status: 400, code: 'algorithm_mismatch' },
      () => reheaded((header) => header.set(1, -7)),
    ],
    [
      'in an algorithm that nobody has',
      { status: 400, code: 'unsupported_algorithm' },
      () => reheaded((header) => header.set(1, -999)),
    ],
    [
      'with a critical header that we do not know',
      { status: 400, code: 'unknown_critical_header' },
      () => reheaded((header) => header.set(2, ['must-see']).set('must-see', true)),
    ],
    ['without CWT claims', { status: 400, code: 'malformed_statement' }, () => reheaded((header) => header.delete(15))],
    ['without a kid', { status: 400, code: 'malformed_statement' }, () => reheaded((header) => header.delete(4))],
    [
      'without an algorithm',
      { status: 400, code: 'malformed_statement' },
      () => reheaded((header) => header.delete(1)),
    ],
    [
      'without its payload',
      { status: 400, code: 'missing_payload' },
      async () => encodeCoseSign1({ ...(await status()).statement.sign1, payload: null }),
    ],
    [
      'about something that is no record',
      { status: 400, code: 'unsupported_content_type' },
      async () => {
        const content = {
          issuer: issuer.issuer,
          subject: 'urn:x',
          issuedAt: 110,
          contentType: 'text/plain',
          payload: utf8('hello'),
        }
        return (await signStatement(content, issuer.key)).bytes
      },
    ],
    [
      'of a record type that does not exist',
      { status: 400, code: 'unknown_record_type' },
      () => retyped('application/vnd.provlog.love-letter+cose'),
    ],
    [
      'under the type of another record than its payload is',
      { status: 400, code: 'malformed_record' },
      () => retyped('application/vnd.provlog.issuance-policy+cose'),
    ],
    [
      'with wraps that are none',
      { status: 400, code: 'malformed_wrap' },
      async () => attachWraps((await status()).statement.bytes, [utf8('{}')]),
    ],
    [
      'with wraps for a record that seals nothing',
      { status: 400, code: 'malformed_wrap' },
      async () => {
        const { statement } = await status({ sections: {} })
        return attachWraps(statement.bytes, [await wrapFor(statement.payload)])
      },
    ],
    [
      'with more bytes of wraps than the log stores',
      { status: 413, code: 'too_large' },
      async () => {
        const wraps = Array.from({ length: 8 }, (_, i) => new Uint8Array(12_000).fill(i))
        return attachWraps((await status()).statement.bytes, wraps)
      },
    ],
    [
      'that is larger than the policy allows',
      { status: 413, code: 'too_large' },
      async () => {
        const content = { issuer: issuer.issuer, subject: 'urn:x', issuedAt: 110, contentType: 'text/plain' }
        const payload = new Uint8Array(world.log.authorities.policy().fields.maxStatementBytes)
        return (await signStatement({ ...content, payload }, issuer.key)).bytes
      },
    ],
  ]
  for (const [what, refusal, submit] of cases) {
    it(`${what} (${refusal.code})`, async () => {
      const body = await submit()
      await assertUnchanged(world, async () => assertRefused(await world.post(body), refusal))
    })
  }

  it('when its signature is a malleated twin of one that was registered, naming the original (conflict_signature)', async () => {
    // ECDSA is where anybody can make a second signature out of the first: (r, n − s). The admin of the log signs with it.
    const fields = { ...FIELDS['key-authorization'], notAfter: 9_000 }
    const { statement, submission } = await world.build('key-authorization', { fields })
    assert.equal((await world.post(submission)).statusCode, 201)
    const index = world.log.reader.treeHead().size - 1

    const twin = encodeCoseSign1({ ...statement.sign1, signature: withOtherS(statement.sign1.signature) })
    assert.notDeepEqual(parseSignedStatement(twin).entry, statement.entry)
    await assertUnchanged(world, async () => {
      const answer = await world.post(twin)
      assertRefused(answer, { status: 409, code: 'conflict_signature' })
      assert.match(answer.rawPayload.toString('latin1'), new RegExp(`entry ${index} `))
    })
  })
})

describe('bytes that are no statement are refused', () => {
  // What lenient CBOR decoders accept, each where the decoder would see it first: as the whole body, or inside the envelope.
  const bodies: readonly (readonly [what: string, code: string, body: Uint8Array])[] = [
    ['nothing', 'malformed_cbor', new Uint8Array()],
    ['half an envelope', 'malformed_cbor', fromHex('d28440')],
    ['an envelope and a byte more', 'malformed_cbor', concatBytes(envelope({}), Uint8Array.of(0))],
    ['no tag', 'malformed_cose', envelope({}).slice(1)],
    ['another tag', 'malformed_cbor', concatBytes(fromHex('d1'), envelope({}).slice(1))],
    ['the tag twice', 'malformed_cbor', concatBytes(fromHex('d2'), envelope({}))],
    ['a tag in two bytes', 'malformed_cbor', concatBytes(fromHex('d812'), envelope({}).slice(1))],
    ['three elements', 'malformed_cbor', fromHex('d28340a040')],
    ['five elements', 'malformed_cbor', fromHex('d28540a0404040')],
    ['an indefinite array', 'malformed_cbor', fromHex('d29f40a04040ff')],
    ['an indefinite map', 'malformed_cbor', fromHex('d28440bfff4040')],
    ['an indefinite byte string', 'malformed_cbor', fromHex('d28440a05f4100ff40')],
    ['a length longer than need be', 'malformed_cbor', fromHex('d28440a0580040')],
    ['an integer longer than need be', 'malformed_cbor', envelope({ unprotected: fromHex('a1180100') })],
    ['duplicate keys', 'malformed_cbor', envelope({ unprotected: fromHex('a201010102') })],
    [
      'duplicate keys of two lengths',
      'malformed_cbor',
      envelope({ unprotected: fromHex('a201261b000000000000000127') }),
    ],
    ['a byte string as key', 'malformed_cbor', envelope({ unprotected: fromHex('a1410000') })],
    ['invalid UTF-8', 'malformed_cbor', envelope({ unprotected: fromHex('a161ff00') })],
    ['a surrogate', 'malformed_cbor', envelope({ unprotected: fromHex('a163eda08000') })],
    ['overlong UTF-8', 'malformed_cbor', envelope({ unprotected: fromHex('a162c08000') })],
    ['undefined', 'malformed_cbor', envelope({ unprotected: fromHex('a101f7') })],
    ['a float', 'malformed_cbor', envelope({ unprotected: fromHex('a101f93c00') })],
    ['NaN', 'malformed_cbor', envelope({ unprotected: fromHex('a101f97e00') })],
    ['false in two bytes', 'malformed_cbor', envelope({ unprotected: fromHex('a101f814') })],
    ['an integer past 2⁵³', 'malformed_cbor', envelope({ unprotected: fromHex('a1011bffffffffffffffff') })],
    ['a bignum', 'malformed_cbor', envelope({ unprotected: fromHex('a101c24101') })],
    ['a regular expression', 'malformed_cbor', envelope({ unprotected: fromHex('a101d81b82665265674578706161') })],
    ['a shared reference', 'malformed_cbor', envelope({ unprotected: fromHex('a101d81c81d81d00') })],
    ['a record definition', 'malformed_cbor', envelope({ unprotected: fromHex('a101d9dfff8219e00080') })],
    ['a packed table', 'malformed_cbor', envelope({ unprotected: fromHex('a101d8338080') })],
    ['a typed array', 'malformed_cbor', envelope({ unprotected: fromHex('a101d8404101') })],
    ['a set', 'malformed_cbor', envelope({ unprotected: fromHex('a101d9010280') })],
    ['an array of 112 million', 'malformed_cbor', envelope({ unprotected: fromHex('a1019a06b95100') })],
    ['a byte string of 4 GiB', 'malformed_cbor', envelope({ unprotected: fromHex('a1015affffffff') })],
    ['a byte string of 2⁶³ − 1 bytes', 'malformed_cbor', envelope({ unprotected: fromHex('a1015b7fffffffffffffff') })],
    [
      '5000 arrays in one another',
      'too_large',
      envelope({ unprotected: concatBytes(fromHex('a101'), new Uint8Array(5000).fill(0x81)) }),
    ],
    [
      '20 000 items',
      'too_large',
      envelope({ unprotected: concatBytes(fromHex('a101994e20'), new Uint8Array(20_000)) }),
    ],
    ['a protected header that is no map', 'malformed_cbor', envelope({ protectedHeader: fromHex('80') })],
    ['a protected header with duplicate keys', 'malformed_cbor', envelope({ protectedHeader: fromHex('a201260126') })],
    [
      'a __proto__ key and nothing else',
      'malformed_statement',
      envelope({ protectedHeader: fromHex('a1695f5f70726f746f5f5f01') }),
    ],
    ['JSON', 'malformed_cbor', utf8('{"payload":"e30"}')],
  ]
  for (const [what, code, body] of bodies) {
    it(`${what} (${code})`, async () => {
      const status = code === 'too_large' ? 413 : 400
      await assertUnchanged(world, async () => assertRefused(await world.post(body), { status, code }))
    })
  }
})

describe('what the admission holds at one time', () => {
  it('is bounded by count and by bytes (queue_full)', async () => {
    const forever = new Promise<never>(() => {})
    const { reader, authorities, sequencer, keys } = world.log
    const stuck = { authorities, sequencer, keys, reader: { ...pick(reader), locate: () => forever } }
    const { submission } = await status()
    const isFull = (error: unknown) => error instanceof BusyError && error.code === 'queue_full'
    for (const limits of [{ maxPending: 3 }, { maxPendingBytes: 3 * submission.length }]) {
      const admission = new Admission({ log: stuck, now: () => NOW, limits })
      const bytes = submission.length
      void admission.admit(submission, { caller: 'one' })
      void admission.admit(submission, { caller: 'another' })
      // Each has as much as is left.
      for (const caller of ['one', 'another']) {
        assert.throws(() => admission.expect(caller, bytes), isFull)
        await assert.rejects(admission.admit(submission, { caller }), isFull)
      }
      admission.expect('a third', bytes)
      void admission.admit(submission, { caller: 'a third' })
      assert.throws(() => admission.expect('a fourth', bytes), isFull)
      await assert.rejects(admission.admit(submission, { caller: 'a fourth' }), isFull)
    }
  })
})

describe('a statement that waits for its index while an authority changes', () => {
  it('is asked about again, under the authority that came before it', async () => {
    const small = await serveLog(3)
    try {
      const { reader, authorities, sequencer, keys } = small.log
      let waiting: Candidate | undefined
      const held = {
        append(candidate: Candidate) {
          waiting = candidate
          return sequencer.append(candidate)
        },
        appendAll: sequencer.appendAll.bind(sequencer),
        size: sequencer.size,
      }
      const admission = new Admission({ log: { reader, authorities, keys, sequencer: held }, now: () => NOW })
      await admission.admit((await small.build('issuance-policy')).submission)
      waiting?.recheck?.()

      // The issuer's key gets another validity, in which what waits is too early.
      const replaced = await small.build('key-authorization', {
        links: [small.link('previous', 1)],
        fields: { ...FIELDS['key-authorization'], notBefore: 5_000 },
      })
      assert.equal((await small.post(replaced.submission)).statusCode, 201)
      assert.throws(() => waiting?.recheck?.(), { code: 'outside_key_validity' })
    } finally {
      await small.close()
    }
  })
})

async function submission(built: Promise<{ submission: Uint8Array }>): Promise<Uint8Array> {
  return (await built).submission
}

/** An honest statement whose protected header was changed after it was signed. */
async function reheaded(change: (header: Map<number | string, CborValue>) => unknown): Promise<Uint8Array> {
  const { statement } = await status()
  const header = new Map(statement.sign1.protectedHeader)
  change(header)
  return encodeCoseSign1({ ...statement.sign1, protectedBytes: encodeCbor(header) })
}

/** An honest record, signed as of another type. */
async function retyped(typ: string): Promise<Uint8Array> {
  const { payload, header } = (await status()).statement
  const { issuer: name, subject, contentType } = header
  const content = { issuer: name, subject, issuedAt: 110, contentType: String(contentType), typ, payload }
  return (await signStatement(content, issuer.key)).bytes
}

/** A COSE_Sign1 put together from raw bytes. */
function envelope({ protectedHeader = fromHex('a10127'), unprotected = fromHex('a0') }): Uint8Array {
  const head = encodeCbor(protectedHeader)
  return concatBytes(fromHex('d284'), head, unprotected, fromHex('4101'), fromHex('4102'))
}

async function wrapFor(payload: Uint8Array): Promise<Uint8Array> {
  return wrapKeys(digestOf('id').slice(0, 16), new Map([['detail', payload.slice(0, 32)]]), {
    kty: 'EC',
    crv: 'P-256',
    ...pointOf(world.admin.publicJwk),
  })
}

function pointOf(jwk: { x: string } & Partial<{ y: string }>): { x: string; y: string } {
  return { x: jwk.x, y: jwk.y ?? '' }
}

function pick(reader: ServedLog['log']['reader']): {
  receipt: typeof reader.receipt
  byUnique: typeof reader.byUnique
  statement: typeof reader.statement
  statuses: typeof reader.statuses
} {
  return {
    receipt: (index) => reader.receipt(index),
    byUnique: (key) => reader.byUnique(key),
    statement: (index) => reader.statement(index),
    statuses: (digest) => reader.statuses(digest),
  }
}
