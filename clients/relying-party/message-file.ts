/**
 * An HTTP/1.1 message in a file, as RFC 9112 writes it and specifications print it: start line, header fields, an empty line, and
 * then the content to the end of the file. Lines end with CRLF or LF.
 *
 * What servers disagree about is refused: folded fields, white space before the colon, a lone CR, chunks, and a Content-Length
 * that is not that of the content.
 *
 * @module
 */
import { type FieldLine, type HttpRequest, type HttpResponse, ProvenanceError } from '../../provenance/index.ts'

/** Longest header that we read, in bytes. */
const MAX_HEADER_BYTES = 128 * 1024
/** More than any message whose proof would be checked may have. */
const MAX_HEADER_LINES = 300

/** @throws ProvenanceError `malformed_message` */
export function parseRequestFile(file: Uint8Array): HttpRequest {
  const { startLine, fields, content } = parseMessage(file)
  const line = /^([^ ]+) ([^ ]+) HTTP\/1\.[01]$/.exec(startLine)
  if (!line) throw refuse('the first line is not METHOD TARGET HTTP/1.1')
  return { method: line[1]!, target: line[2]!, fields, content }
}

/** @throws ProvenanceError `malformed_message` */
export function parseResponseFile(file: Uint8Array): HttpResponse {
  const { startLine, fields, content } = parseMessage(file)
  const line = /^HTTP\/1\.[01] ([1-9][0-9]{2})(?: .*)?$/.exec(startLine)
  if (!line) throw refuse('the first line is not HTTP/1.1 STATUS REASON')
  return { status: Number(line[1]), fields, content }
}

interface MessageParts {
  readonly startLine: string
  readonly fields: readonly FieldLine[]
  readonly content: Uint8Array
}

function parseMessage(file: Uint8Array): MessageParts {
  const lines: string[] = []
  let at = 0
  for (;;) {
    const end = file.subarray(0, MAX_HEADER_BYTES).indexOf(0x0a, at)
    if (end < 0) throw refuse(`no empty line within ${MAX_HEADER_BYTES} bytes that ends the header`)
    const line = latin1(file.subarray(at, file[end - 1] === 0x0d && end > at ? end - 1 : end))
    at = end + 1
    if (line === '') break
    if (line.includes('\r')) throw refuse('a CR without LF')
    lines.push(line)
    if (lines.length > MAX_HEADER_LINES) throw refuse(`more than ${MAX_HEADER_LINES} lines of header`)
  }
  const [startLine, ...rest] = lines
  if (startLine === undefined) throw refuse('an empty line where the first one belongs')
  const fields = rest.map((line): FieldLine => {
    const field = /^([^\s:]+):[ \t]*(.*)$/.exec(line)
    if (!field) throw refuse('a line that is not NAME: VALUE')
    return [field[1]!, field[2]!]
  })

  const content = file.slice(at)
  for (const [name, value] of fields) {
    const lower = name.toLowerCase()
    if (lower === 'transfer-encoding') throw refuse('Transfer-Encoding: content in a file is not in chunks')
    if (lower === 'content-length' && value.trim() !== String(content.length)) {
      throw refuse(`Content-Length, and ${content.length} bytes of content`)
    }
  }
  return { startLine, fields, content }
}

/** One character for each byte, as Node gives header fields. */
function latin1(bytes: Uint8Array): string {
  let text = ''
  // In pieces: an argument list has a greatest length.
  for (let i = 0; i < bytes.length; i += 0x2000) text += String.fromCharCode(...bytes.subarray(i, i + 0x2000))
  return text
}

function refuse(why: string): ProvenanceError {
  return new ProvenanceError('malformed_message', why)
}
