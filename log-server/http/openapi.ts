/**
 * What the API is, said once: each route carries an {@link Operation}, and the OpenAPI document is made of them.
 *
 * An operation only describes. Fastify reads of it what it validates (`params`) and nothing else: a `response` schema would have it
 * write answers by that schema, leaving out what the schema forgot, and bodies here are bytes that were signed.
 *
 * @module
 */
import { STATUS_CODES } from 'node:http'
import type { FastifyRequest } from 'fastify'
import type { TObject, TSchema } from 'typebox'
import type { Need } from '../access/rights.ts'
import { type ProblemCode, statusOf } from '../problem.ts'

export const TAGS = {
  'C2SP tlog-tiles': 'The log as c2sp.org/tlog-tiles has it: a signed checkpoint and the tiles under it.',
  'SCITT SCRAPI': 'Registration and receipts (RFC 9943, draft-ietf-scitt-scrapi). Errors are CBOR (RFC 9290).',
  provlog: 'Provenance of credentials, replay and proofs.',
  operations: 'For whoever runs or explores this server.',
} as const

/** Described, and not looked at by the framework. */
export interface Operation<Params extends TObject | undefined = TObject | undefined> {
  /** Unique; a verb and a noun, in camel case. */
  readonly operationId: string
  readonly tags: readonly [keyof typeof TAGS]
  readonly summary: string
  readonly description?: string
  /** What a caller needs, where the configuration says who may come in. Of a registration more is asked: the type of each statement. */
  readonly access: Need
  /** Path parameters, which Fastify validates. Of a route that ends in `*` all but that. */
  readonly params?: Params
  /** For a route that ends in `*`: what stands there. */
  readonly wildcard?: { readonly name: string; readonly description: string }
  /** Query parameters, by name. (`query` would be a schema to Fastify.) */
  readonly queries?: Readonly<Record<string, string>>
  /** Request headers that the route reads, besides those that every request has. */
  readonly requestHeaders?: Readonly<Record<string, string>>
  readonly requestBody?: { readonly description: string; readonly mediaTypes: readonly string[] }
  /** By status, 200 to 399. */
  readonly answers: Readonly<Record<number, Answer>>
  /** What it refuses with, besides {@link COMMON_PROBLEMS}. */
  readonly problems?: readonly ProblemCode[]
}

export interface Answer {
  readonly description: string
  /** All these are the same body under several names. None: an empty body. */
  readonly mediaTypes?: readonly string[]
  /** Of a JSON body. Others are bytes. */
  readonly schema?: TSchema
  /** Name and description. */
  readonly headers?: Readonly<Record<string, string>>
}

/** What any path may answer, whatever it is about. */
export const COMMON_PROBLEMS: readonly ProblemCode[] = [
  'malformed_request',
  'invalid_locator',
  'method_not_allowed',
  'not_implemented',
  'too_large',
  'too_many_requests',
  'shutting_down',
  'request_timeout',
  'uri_too_long',
  'headers_too_large',
  'too_many_connections',
  'queue_full',
  'internal',
]

/** What any path may also answer where the configuration says who may come in: what is wrong with how the caller proves who they are. */
export const ACCESS_PROBLEMS: readonly ProblemCode[] = [
  'malformed_message',
  'malformed_structured_field',
  'malformed_jws',
  'malformed_json',
  'malformed_credential',
  'malformed_der',
  'malformed_identifier',
  'malformed_proof_token',
  'malformed_signature_input',
  'duplicate_field',
  'credential_missing',
  'credential_as_bearer',
  'credential_mismatch',
  'credential_expired',
  'credential_not_yet_valid',
  'lifetime_too_long',
  'unknown_trust_domain',
  'unknown_anchor',
  'certificate_is_ca',
  'certificate_not_ca',
  'certificate_path_too_long',
  'certificate_wrong_usage',
  'name_not_permitted',
  'unknown_critical_extension',
  'unsupported_algorithm',
  'unsupported_key',
  'unsupported_profile',
  'weak_key',
  'bad_signature',
  'algorithm_mismatch',
  'proof_missing',
  'proof_expired',
  'proof_not_yet_valid',
  'proof_lifetime_too_long',
  'proof_replayed',
  'wrong_audience',
  'token_binding_mismatch',
  'unknown_bound_token',
  'signature_not_found',
  'component_not_covered',
  'content_digest_missing',
  'content_digest_mismatch',
  'trust_domain_mismatch',
  'identity_conflict',
  'unavailable',
]

/** `about` as the `schema` of a route. Typed so that `request.params` has the type of `about.params`. */
export function operation<Params extends TObject | undefined = undefined>(
  about: Operation<Params>,
): Operation<Params> & (Params extends TObject ? { readonly params: Params } : unknown) {
  return about as ReturnType<typeof operation<Params>>
}

/** A body of bytes. */
export function bytes(description: string, ...mediaTypes: readonly string[]): Answer {
  return { description, mediaTypes }
}

export function json(description: string, schema: TSchema): Answer {
  return { description, mediaTypes: ['application/json'], schema }
}

/** One method on one path, as registered. */
export interface DescribedRoute {
  readonly method: string
  readonly url: string
  readonly operation: Operation
}

/** What the route of a request is said to be; undefined where there is none, or not with that method. */
export function operationOf({ routeOptions: { schema } }: Pick<FastifyRequest, 'routeOptions'>): Operation | undefined {
  return schema && 'operationId' in schema ? (schema as unknown as Operation) : undefined
}

/** The document, OpenAPI 3.1. */
export function openApiDocument(routes: readonly DescribedRoute[]): object {
  const paths: Record<string, Record<string, object>> = {}
  for (const route of routes) {
    const path = pathTemplate(route)
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operationObject(route) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'provlog',
      summary: 'A transparency log for credential provenance.',
      // Of the API, not of the program: the number in `/v1`.
      version: '1',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    // Wherever the document came from.
    servers: [{ url: '.' }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths,
    components: {
      responses: { Problem: PROBLEM_RESPONSE },
      schemas: { Problem: PROBLEM_SCHEMA },
      securitySchemes: SECURITY_SCHEMES,
    },
  }
}

function pathTemplate({ url, operation }: DescribedRoute): string {
  return url.replace(/:([A-Za-z]+)/g, '{$1}').replace('*', `{${operation.wildcard?.name ?? 'path'}}`)
}

function operationObject({ method, operation }: DescribedRoute): object {
  const { operationId, tags, summary, description, requestBody, answers, access, problems = [] } = operation
  const refusals = [...problems, ...denials(access)]
  const head = method === 'HEAD'
  return {
    operationId: head ? `${operationId}Head` : operationId,
    tags,
    summary: head ? `${summary} Headers only.` : summary,
    ...(description !== undefined && { description }),
    security: securityOf(access),
    ...parametersOf(operation),
    ...(requestBody && {
      requestBody: { description: requestBody.description, required: true, content: contentOf(requestBody) },
    }),
    responses: {
      ...Object.fromEntries(Object.entries(answers).map(([status, answer]) => [status, responseOf(answer, head)])),
      ...Object.fromEntries(byStatus(refusals).map(([status, codes]) => [status, problemReference(codes)])),
      default: problemReference([...COMMON_PROBLEMS, ...ACCESS_PROBLEMS]),
    },
  }
}

/** Whoever appends must also be written down. */
function denials(access: Need): readonly ProblemCode[] {
  if (access === 'anyone') return []
  return access === 'append' ? ['access_denied', 'audit_unavailable'] : ['access_denied']
}

/**
 * None, for a log that is open to everybody; or one of the ways to be known, and what the caller must then be allowed to (a list of roles,
 * as OpenAPI 3.1 has it for schemes without scopes).
 */
function securityOf(access: Need): readonly object[] {
  if (access === 'anyone') return []
  return [{}, { mutualTLS: [access] }, { workloadIdentityToken: [access], workloadProofToken: [] }]
}

const SECURITY_SCHEMES = {
  mutualTLS: { type: 'mutualTLS', description: 'A workload certificate (draft-ietf-wimse-mutual-tls, X509-SVID).' },
  workloadIdentityToken: {
    type: 'apiKey',
    in: 'header',
    name: 'Workload-Identity-Token',
    description: 'A WIT, which is worth nothing without proof that the caller has its key.',
  },
  workloadProofToken: {
    type: 'apiKey',
    in: 'header',
    name: 'Workload-Proof-Token',
    description:
      'That proof, for this request (draft-ietf-wimse-wpt); or, in its place, a signature over the request (draft-ietf-wimse-http-signature).',
  },
}

function parametersOf({ params, wildcard, queries = {}, requestHeaders = {} }: Operation): object {
  const described = (place: string, names: Readonly<Record<string, string>>) =>
    Object.entries(names).map(([name, description]) => ({ name, in: place, description, schema: { type: 'string' } }))
  const parameters = [
    ...Object.entries(params?.properties ?? {}).map(([name, schema]) => ({ name, in: 'path', required: true, schema })),
    ...(wildcard ? described('path', { [wildcard.name]: wildcard.description }) : []).map((each) => ({
      ...each,
      required: true,
    })),
    ...described('query', queries),
    ...described('header', requestHeaders),
  ]
  return parameters.length > 0 ? { parameters } : {}
}

function responseOf({ description, headers = {}, ...body }: Answer, head: boolean): object {
  const described = Object.entries(headers).map(([name, text]) => [
    name,
    { description: text, schema: { type: 'string' } },
  ])
  return {
    description,
    ...(described.length > 0 && { headers: Object.fromEntries(described) }),
    ...(body.mediaTypes && !head && { content: contentOf(body) }),
  }
}

function contentOf({ mediaTypes = [], schema }: { mediaTypes?: readonly string[]; schema?: TSchema }): object {
  const isText = (type: string) => type.startsWith('text/')
  return Object.fromEntries(
    mediaTypes.map((type) => [
      type,
      { schema: schema ?? (isText(type) ? { type: 'string' } : { type: 'string', format: 'binary' }) },
    ]),
  )
}

/** Codes by the status they are answered with, in ascending order. */
export function byStatus(codes: readonly ProblemCode[]): [status: number, codes: readonly ProblemCode[]][] {
  const statuses = [...new Set(codes.map(statusOf))].sort((a, b) => a - b)
  return statuses.map((status) => [status, codes.filter((code) => statusOf(code) === status)])
}

function problemReference(codes: readonly ProblemCode[]): object {
  return { $ref: '#/components/responses/Problem', description: codes.map((code) => `\`${code}\``).join(', ') }
}

const PROBLEM_SCHEMA = {
  type: 'object',
  required: ['type', 'title', 'detail', 'code', 'status'],
  properties: {
    type: { const: 'about:blank' },
    title: { type: 'string', description: 'The same for all problems of the kind; SCRAPI’s words where it has some.' },
    detail: { type: 'string', description: 'About this one.' },
    code: { type: 'string', pattern: '^[a-z0-9_]+$', description: 'The stable name of what went wrong.' },
    status: { type: 'integer', minimum: 400, maximum: 599 },
  },
}

const PROBLEM_RESPONSE = {
  description: `A problem, by status: ${[400, 403, 404, 409, 413, 415, 422, 500, 503].map((status) => `${status} ${STATUS_CODES[status]}`).join(', ')}.`,
  headers: {
    'Retry-After': { description: 'Seconds, where the same request may succeed later.', schema: { type: 'integer' } },
    Allow: { description: 'With 405: the methods that the path has.', schema: { type: 'string' } },
  },
  content: {
    'application/concise-problem-details+cbor': {
      schema: {
        type: 'string',
        format: 'binary',
        description:
          'RFC 9290: {-1: title, -2: detail, "tag:provlog.example,2026:problem": {"code": code, "status": status}}.',
      },
    },
    'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
  },
}
