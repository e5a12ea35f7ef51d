/**
 * A monitor: follows logs, and says what is new and wrong. See README.md.
 *
 * @module
 */
export { ALERTS, type Alert, type AlertDescription, type AlertKind, type AlertSeverity } from './alerts.ts'
export { MonitorError, type MonitorErrorCode } from './error.ts'
export { type Followed, follow, type Known, NOTHING_KNOWN, type Rules, type Seen, type Sight } from './follow.ts'
export { listenForMetrics, type MetricsListener } from './metrics-listener.ts'
export { type Channel, metricsText, type WebhookOptions, webhook } from './notify.ts'
export { type FollowedLog, followLog, type Outcome, type RoundOptions } from './round.ts'
export { parseWatch, type Watched } from './watch.ts'
