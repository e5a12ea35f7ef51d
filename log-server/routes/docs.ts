/**
 * GET /openapi.json and /docs — what this API is, for programs and for people.
 *
 * The page is Swagger UI, of which the package's files are served as they are, by name: its own plugin costs 100 ms of every start
 * and brings a file server with paths of its own. Nothing is loaded from elsewhere, and the policy below says so to the browser.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { bytes, type DescribedRoute, json, openApiDocument, operation } from '../http/openapi.ts'
import { RequestError } from '../problem.ts'

const CONTENT_SECURITY_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>provlog API</title>
<link rel="icon" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
`

// It tries what reads, not what writes: a browser has no key to sign a statement with.
const START = `SwaggerUIBundle({
  url: 'openapi.json', dom_id: '#swagger-ui', deepLinking: true, validatorUrl: null, supportedSubmitMethods: ['get', 'head'],
})
`

/** Of the package, by name; and their media types. */
const FILES: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'favicon-32x32.png': 'image/png',
}

export const docsRoutes: FastifyPluginAsyncTypebox<{ routes: () => readonly DescribedRoute[] }> = async (
  app,
  { routes },
) => {
  let document: Buffer | undefined
  app.get(
    '/openapi.json',
    {
      schema: operation({
        operationId: 'getOpenApi',
        access: 'anyone',
        tags: ['operations'],
        summary: 'This document.',
        answers: { 200: json('OpenAPI 3.1.', Type.Object({ openapi: Type.String() })) },
      }),
    },
    async (_request, reply) => {
      document ??= Buffer.from(JSON.stringify(openApiDocument(routes())))
      return reply.type('application/json').header('cache-control', 'no-cache').send(document)
    },
  )

  app.get(
    '/docs',
    {
      schema: operation({
        operationId: 'getDocs',
        access: 'anyone',
        tags: ['operations'],
        summary: 'This document as a page to read and try.',
        answers: { 200: bytes('A page.', 'text/html') },
      }),
    },
    async (_request, reply) => {
      return reply
        .type('text/html; charset=utf-8')
        .headers({ 'content-security-policy': CONTENT_SECURITY_POLICY, 'cache-control': 'no-cache' })
        .send(PAGE)
    },
  )

  const loaded = new Map<string, Promise<Buffer>>()
  app.get(
    '/docs/:file',
    {
      schema: operation({
        operationId: 'getDocsFile',
        access: 'anyone',
        tags: ['operations'],
        summary: 'A part of that page.',
        params: Type.Object({ file: Type.String({ maxLength: 64 }) }),
        answers: { 200: bytes('A file.', 'text/css', 'text/javascript', 'image/png') },
        problems: ['not_found'],
      }),
    },
    async (request, reply) => {
      const { file } = request.params
      reply.headers({ 'content-security-policy': CONTENT_SECURITY_POLICY, 'cache-control': 'public, max-age=3600' })
      if (file === 'start.js') return reply.type('text/javascript; charset=utf-8').send(START)
      const type = Object.hasOwn(FILES, file) ? FILES[file] : undefined
      if (type === undefined) throw new RequestError('not_found', 'no such part of the documentation')
      // Kept once asked for: two megabytes that most servers never show.
      const content = loaded.get(file) ?? readPart(file)
      loaded.set(file, content)
      return reply.type(type).send(await content)
    },
  )
}

function readPart(name: string): Promise<Buffer> {
  return readFile(createRequire(import.meta.url).resolve(`@fastify/swagger-ui/static/${name}`))
}
