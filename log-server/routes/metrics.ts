/**
 * GET /metrics — numbers for Prometheus, in its text format or as OpenMetrics.
 *
 * Not for everybody: they say how much a log is used, and by how many it is refused. It is at the address for admins, and elsewhere for whom a rule
 * names; of a log that is open only on the loopback interface (`main.ts`).
 *
 * @module
 */
import type { FastifyPluginAsync } from 'fastify'
import { parseAccept } from '../http/accept.ts'
import { operation } from '../http/openapi.ts'
import { FORMATS, type Format, type Registry } from '../metrics/registry.ts'

const getMetrics = operation({
  operationId: 'getMetrics',
  access: 'metrics',
  tags: ['operations'],
  summary: 'Numbers about this server, for Prometheus.',
  answers: {
    200: {
      description: 'Counters, gauges and histograms; OpenMetrics for whoever prefers it.',
      mediaTypes: ['text/plain', 'application/openmetrics-text'],
      headers: { Vary: '`Accept`.' },
    },
  },
})

export const metricsRoutes: FastifyPluginAsync<{ registry: Registry }> = async (app, { registry }) => {
  app.get('/metrics', { schema: getMetrics }, async (request, reply) => {
    const format = formatFor(request.headers.accept)
    // Pages read what is public, and this is not.
    reply.removeHeader('access-control-allow-origin').removeHeader('access-control-expose-headers')
    return reply
      .headers({ 'content-type': FORMATS[format], 'cache-control': 'no-store', vary: 'accept' })
      .send(await registry.write(format))
  })
}

/** The text format for whoever does not name the other, and weigh it no less. */
function formatFor(accept: string | undefined): Format {
  const accepted = parseAccept(accept)
  const weight = accepted.get('application/openmetrics-text') ?? 0
  return weight > 0 && weight >= (accepted.get('text/plain') ?? 0) ? 'openMetrics' : 'text'
}
