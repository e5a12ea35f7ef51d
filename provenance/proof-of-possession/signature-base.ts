/**
 * The text that a message signature signs (RFC 9421 §2.5), and what the WIMSE profile demands to be in it.
 *
 *     "@method": GET
 *     "@request-target": /gimme-ice-cream?flavor=vanilla
 *     "workload-identity-token": eyJ…
 *     "@signature-params": ("@method" "@request-target" "workload-identity-token");created=…
 *
 * @module
 */
import { utf8 } from '../../merkle/bytes.ts'
import { ProvenanceError } from '../error.ts'
import { checkRequestLine, type Fields, type HttpRequest, type HttpResponse, readFields } from './http-message.ts'
import { malformedSignature } from './signature-input.ts'
import { type InnerList, type Item, serializeInnerList, serializeItem } from './structured-field.ts'

/** Most components that one signature may cover. */
const MAX_COMPONENTS = 64

/** A message as its signature sees it. */
export interface Parts {
  /** The fields of the message itself. */
  readonly own: Fields
  /** Values of the components that are no fields, by identifier. */
  readonly derived: ReadonlyMap<string, string>
  /** The fields of the request, where the message is a response to it: `"name";req`. */
  readonly request?: Fields
  /** Fields that must be covered when they are there. */
  readonly coveredFields: readonly string[]
}

/** @throws {@link ProvenanceError} `malformed_message`, `duplicate_field` */
export function requestParts(request: HttpRequest): Parts {
  checkRequestLine(request)
  return {
    own: readFields(request),
    derived: new Map([
      ['"@method"', request.method],
      ['"@request-target"', request.target],
    ]),
    coveredFields: ['content-type', 'content-digest', 'authorization', 'txn-token', 'workload-identity-token'],
  }
}

/** @throws {@link ProvenanceError} `malformed_message`, `duplicate_field` */
export function responseParts(response: HttpResponse, request: HttpRequest): Parts {
  checkRequestLine(request)
  if (!Number.isInteger(response.status) || response.status < 100 || response.status > 999) {
    throw new ProvenanceError('malformed_message', 'a status that is not three digits')
  }
  return {
    own: readFields(response),
    derived: new Map([
      ['"@status"', String(response.status)],
      ['"@method";req', request.method],
      ['"@request-target";req', request.target],
    ]),
    request: readFields(request),
    coveredFields: ['workload-identity-token', 'content-type', 'content-digest'],
  }
}

/** The components that the profile demands of this message, in its order. */
export function demandedComponents({ own, derived, coveredFields }: Parts): readonly Item[] {
  const fields = coveredFields.filter((name) => own.has(name)).map((name) => `"${name}"`)
  return [...derived.keys(), ...fields].map((identifier) => {
    const [, name, req] = /^"([^"]+)"(;req)?$/.exec(identifier)!
    return { value: name!, parameters: new Map(req === undefined ? [] : [['req', true]]) }
  })
}

/**
 * Checks that a signature covers all that the profile demands of this message.
 *
 * @throws {@link ProvenanceError} `malformed_signature_input`, `component_not_covered`
 */
export function checkCovered(message: Parts, { items }: InnerList): void {
  if (items.length > MAX_COMPONENTS) throw malformedSignature('too many components')
  const covered = new Set(items.map(serializeItem))
  if (covered.size !== items.length) throw malformedSignature('a component twice')
  const left = demandedComponents(message)
    .map(serializeItem)
    .find((identifier) => !covered.has(identifier))
  if (left !== undefined) throw new ProvenanceError('component_not_covered', `the signature does not cover ${left}`)
}

/**
 * The text that is signed.
 *
 * @throws {@link ProvenanceError} `malformed_signature_input` for a component that is not there, or that is none of ours
 */
export function signatureBase(message: Parts, input: InnerList): Uint8Array {
  const lines = input.items.map((item) => `${serializeItem(item)}: ${componentValue(message, item)}`)
  return utf8([...lines, `"@signature-params": ${serializeInnerList(input)}`].join('\n'))
}

function componentValue({ own, derived, request }: Parts, item: Item): string {
  const identifier = serializeItem(item)
  const { value: name, parameters } = item
  const ofRequest = request !== undefined && parameters.size === 1 && parameters.get('req') === true
  const fields = ofRequest ? request : parameters.size === 0 ? own : undefined
  const value = derived.get(identifier) ?? (typeof name === 'string' ? fields?.get(name) : undefined)
  if (value === undefined) throw malformedSignature(`covers ${identifier}, which is not there or not supported`)
  if (!/^[\t -~]*$/.test(value)) throw malformedSignature(`covers ${identifier}, which is not ASCII`)
  return value
}
