/**
 * The faults, as a table. What is done at storage operations has its points from the operations themselves (`storage-operations.ts`).
 *
 * @module
 */
import { loseAnswers } from './answers.ts'
import { failBackups, fillBackupDisk, interruptBackups } from './backups.ts'
import { jumpClock } from './clock.ts'
import { restoreOldCopy, twoProcesses } from './copies.ts'
import { fillDisk, mountMissing } from './disk-full.ts'
import { haltUnderLoad, killUnderLoad, killWhileOpening, terminateUnderLoad } from './kills.ts'
import { fewDescriptors, smallHeap } from './limits.ts'
import type { Sites } from './site.ts'
import { straceMissing } from './strace.ts'
import { historyMissing, upgradeAndBack } from './upgrade.ts'

export interface Fault {
  readonly id: string
  readonly done: string
  /** What may come of it. */
  readonly may: string
  /** What must hold, beside what {@link Sites.check} asks after every fault. */
  readonly must: string
  /** Why it cannot be done on this machine. */
  readonly missing?: () => string | undefined
  readonly run: (sites: Sites) => Promise<void>
}

export const FAULTS: readonly Fault[] = [
  {
    id: 'kill',
    done: 'SIGKILL under load, at any moment, two to four times on one log',
    may: 'requests under way break off',
    must: 'each is in the log once or not at all, and can be sent again',
    run: (sites) => killUnderLoad(sites, 2 + sites.random.below(3)),
  },
  {
    id: 'kill-start',
    done: 'SIGKILL while a killed server comes up again, three times in a row',
    may: 'it is not up',
    must: 'the next start has everything',
    run: (sites) => killWhileOpening(sites, 3),
  },
  {
    id: 'terminate',
    done: 'SIGTERM under load',
    may: '503, closed connections',
    must: 'every success is durable; exit code 0',
    run: terminateUnderLoad,
  },
  {
    id: 'halt',
    done: 'SIGSTOP under load, a second server, SIGCONT, SIGSTOP, SIGKILL',
    may: 'requests wait',
    must: 'the second server is turned away; the first goes on where it was',
    run: haltUnderLoad,
  },
  {
    id: 'disk-full',
    done: 'a file system in memory is filled, under load, and freed: nearly, and wholly by a server that was told not to look',
    may: 'registrations are refused with 503; the second ends with one line, and may not come up until there is room',
    must: 'the first goes on by itself; nothing is acknowledged that is not on the disk',
    missing: mountMissing,
    run: fillDisk,
  },
  {
    id: 'few-descriptors',
    done: '64 descriptors, a hundred idle connections, load, tables written meanwhile',
    may: 'connections are turned away; the server ends with one line',
    must: 'whoever is answered is answered right',
    run: fewDescriptors,
  },
  {
    id: 'small-heap',
    done: '128 MB of heap under load',
    may: 'it is slow',
    must: 'it lives',
    run: smallHeap,
  },
  {
    id: 'clock',
    done: 'the clock jumps a day on, a day back, and a second twice, while it runs and between runs',
    may: 'statements of another time are refused with 4xx',
    must: 'no larger tree is dated earlier',
    run: jumpClock,
  },
  {
    id: 'two-processes',
    done: 'a second server and a fsck on the directory of one that runs',
    may: 'nothing',
    must: 'both are turned away with log_locked; the first does not notice',
    run: twoProcesses,
  },
  {
    id: 'old-copy',
    done: 'an older database is put back: beside the guard, without a guard, and with the guard of then',
    may: 'the third is served, as no server can tell',
    must: 'the others are refused with exit code 5 and what to do; clients see the third',
    run: restoreOldCopy,
  },
  {
    id: 'backup',
    done: 'backups of a server under load: SIGKILL to the backup, SIGKILL to the server, at any moment of it',
    may: 'there is no backup, and the second says so with exit code 3',
    must: 'what is left is refused with backup_incomplete; the next one, through a server or not, has all that was acknowledged before it began',
    run: (sites) => interruptBackups(sites, 1),
  },
  {
    id: 'backup-operations',
    done: 'a backup under load is killed before one of its storage operations, or that fails with EIO or ENOSPC, three times',
    may: 'there is no backup, and one line that says so',
    must: 'as for `backup`',
    missing: straceMissing,
    run: (sites) => failBackups(sites, 3),
  },
  {
    id: 'backup-disk-full',
    done: 'the disk that the backup goes to is too small for it, under load',
    may: 'there is no backup, and one line with exit code 3 that says so',
    must: 'as for `backup`',
    missing: mountMissing,
    run: fillBackupDisk,
  },
  {
    id: 'lost-answer',
    done: 'clients go away before the answer, and several send the same again at once',
    may: 'nothing',
    must: 'one index for all of them',
    run: loseAnswers,
  },
  {
    id: 'upgrade',
    done: 'the server of the last change but one, the present one, and that one again, each killed under load',
    may: 'the older one refuses what the newer one wrote, with one line',
    must: 'the present one serves what either wrote',
    missing: historyMissing,
    run: upgradeAndBack,
  },
]
