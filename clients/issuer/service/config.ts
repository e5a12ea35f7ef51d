/**
 * `issuer serve --config FILE`: what the service issues for whom. Relative paths start where the file is.
 *
 *     { "log": { "url": "https://log.example", "vkeys": ["log.example+…"], "checkpoint": "state/checkpoint",
 *                "wit": { "credential": "id/wit", "key": "id/wit.jwk" } },          where the log asks who calls
 *       "key": "keys/issuer.jwk",                     mode 0600
 *       "socket": "/run/provlog/issuer.sock",
 *       "policy": "workloads",
 *       "recipients": ["keys/auditor.pub.jwk"],
 *       "workloads": [
 *         { "subject": "spiffe://bank.example/payments", "uids": [1001] },                submits results and a key
 *         { "subject": "spiffe://bank.example/ledger", "directory": "/var/lib/ledger/id", renewed from files
 *           "workloadKey": "keys/ledger.pub.jwk", "results": ["results/ledger.ear"] } ] }
 *
 * @module
 */
import { type Static, Type } from 'typebox'
import { Value } from 'typebox/value'
import { parseWorkloadIdentifier } from '../../../provenance/index.ts'
import { ServiceError } from './error.ts'
import { OVERFLOW_UID } from './peer.ts'

const strict = { additionalProperties: false }
const path = Type.String({ minLength: 1, maxLength: 4096 })
const paths = (maxItems: number) => Type.Array(path, { maxItems })
const policyId = Type.String({ minLength: 1, maxLength: 256 })

const Workload = Type.Object(
  {
    subject: Type.String({ minLength: 1, maxLength: 2048 }),
    kind: Type.Optional(Type.Union([Type.Literal('wit'), Type.Literal('wic')])),
    /** That of the service, unless said otherwise. */
    policy: Type.Optional(policyId),
    /** Seconds. */
    lifetime: Type.Optional(Type.Integer({ minimum: 10, maximum: 31_536_000 })),
    /** Users that may have it over the local API. */
    uids: Type.Optional(
      Type.Array(Type.Integer({ minimum: 0, maximum: 4_294_967_294 }), { minItems: 1, maxItems: 64 }),
    ),
    /** These users are an agent's. */
    agent: Type.Optional(Type.Boolean()),
    /** Why it may come without results, where the policy takes that: a code for the record. */
    unattested: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
    workloadKey: Type.Optional(path),
    results: Type.Optional(paths(16)),
    directory: Type.Optional(path),
    sbom: Type.Optional(path),
    verifiers: Type.Optional(Type.Array(Type.String({ maxLength: 2048 }), { maxItems: 16 })),
    attributes: Type.Optional(Type.Record(Type.String(), Type.String({ minLength: 1, maxLength: 1024 }))),
  },
  strict,
)

const Config = Type.Object(
  {
    log: Type.Object(
      {
        url: Type.String({ minLength: 1, maxLength: 2048 }),
        // An issuer that believed any log would tell its secrets to any.
        vkeys: Type.Array(Type.String({ maxLength: 1024 }), { minItems: 1, maxItems: 8 }),
        ca: Type.Optional(path),
        /** Of ours, for a log that asks for one: a chain and its key, in PEM. */
        certificate: Type.Optional(Type.Object({ cert: path, key: path }, strict)),
        /** The workload that the log's server is, and the bundle of its trust domain. */
        server: Type.Optional(
          Type.Object({ id: Type.String({ minLength: 1, maxLength: 2048 }), bundle: path }, strict),
        ),
        /** Of ours, for a log behind a proxy that ends TLS: a token, its private JWK, and what the log calls itself where that is not the URL. */
        wit: Type.Optional(
          Type.Object(
            {
              credential: path,
              key: path,
              proof: Type.Optional(Type.Union([Type.Literal('wpt'), Type.Literal('httpsig')])),
              audience: Type.Optional(Type.String({ minLength: 1, maxLength: 2048 })),
            },
            strict,
          ),
        ),
        /** Where the last checkpoint is remembered from one run to the next. */
        checkpoint: Type.Optional(path),
      },
      strict,
    ),
    key: path,
    anchor: Type.Optional(path),
    socket: Type.Optional(path),
    policy: policyId,
    recipients: Type.Optional(paths(16)),
    /** The SPIFFE bundle that goes with each credential: ours alone, where several issuers vouch for the trust domain. */
    trustBundle: Type.Optional(path),
    workloads: Type.Array(Workload, { minItems: 1, maxItems: 1024 }),
  },
  strict,
)

export type ServiceConfig = Readonly<Static<typeof Config>>
export type WorkloadConfig = Readonly<Static<typeof Workload>>

/** @throws {@link ServiceError} `malformed_config`, naming the member */
export function parseServiceConfig(text: string): ServiceConfig {
  let config: unknown
  try {
    config = JSON.parse(text)
  } catch {
    throw malformed('not JSON')
  }
  if (!Value.Check(Config, config)) {
    const [first] = Value.Errors(Config, config)
    throw malformed(`${first?.instancePath ?? ''}: ${first?.message ?? 'is not valid'}`)
  }
  config.workloads.forEach((workload, i) => {
    checkWorkload(workload, config, (why) => malformed(`/workloads/${i}: ${why}`))
  })
  const subjects = config.workloads.map(({ subject, kind = 'wit' }) => `${kind} ${subject}`)
  if (new Set(subjects).size < subjects.length) throw malformed('/workloads: one subject twice')
  return config
}

function checkWorkload(workload: WorkloadConfig, config: ServiceConfig, refuse: (why: string) => ServiceError): void {
  const { subject, uids, agent, workloadKey, results, directory, kind } = workload
  parseWorkloadIdentifier(subject)
  if ((uids === undefined) === (directory === undefined)) {
    throw refuse('either uids, who ask for it, or a directory: a record names one way of delivery')
  }
  if (uids?.includes(OVERFLOW_UID)) throw refuse(`user ${OVERFLOW_UID} is whoever has no number here`)
  if (uids && config.socket === undefined) throw refuse('uids, and no socket to ask at')
  if (agent && !uids) throw refuse('an agent asks over the local API')
  if ((workloadKey === undefined) !== (results === undefined)) throw refuse('workloadKey and results come together')
  if (directory !== undefined && !workloadKey)
    throw refuse('a directory is delivered to by itself: name workloadKey and results')
  if (kind === 'wic' && config.anchor === undefined) throw refuse('certificates need an anchor')
}

function malformed(why: string): ServiceError {
  return new ServiceError('malformed_config', why)
}
