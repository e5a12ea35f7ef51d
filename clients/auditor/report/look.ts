/**
 * How the page looks, and the one thing that it does: sort a table by the column whose heading is pressed. The page names the hash of both
 * and lets nothing else run.
 *
 * @module
 */

export const STYLE = `
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5b6675;--paper:#f6f7f9;--card:#fff;--rule:#dde2e8;--brand:#2458b3;--bad:#b3261e;--ask:#9a5b00;--good:#1d7a46}
@media(prefers-color-scheme:dark){:root{--ink:#e7ebf0;--soft:#9aa6b5;--paper:#12161c;--card:#1a2029;--rule:#2d3642;--brand:#7fabf5;--bad:#ff8a80;--ask:#f0b45a;--good:#6fd39b}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1080px;margin:0 auto;padding:40px 24px 64px}
h1{font-size:30px;line-height:1.2;margin:0 0 4px;overflow-wrap:anywhere}h2{font-size:21px;margin:44px 0 12px}h3{font-size:16px;margin:0}
p{margin:0 0 12px;max-width:90ch}.soft,figcaption{color:var(--soft)}.small{font-size:14px}
code{font:13px/1.5 ui-monospace,"SF Mono","DejaVu Sans Mono",Menlo,monospace;overflow-wrap:anywhere}
.card{background:var(--card);border:1px solid var(--rule);border-radius:10px;padding:16px 20px;margin:0 0 14px}
.verdict{border-left:6px solid var(--good);font-size:18px;margin:24px 0}.verdict.error{border-color:var(--bad)}.verdict.warning{border-color:var(--ask)}
.verdict strong{display:block;font-size:21px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:14px}
.tiles .card{margin:0}.tiles b{display:block;font-size:26px;line-height:1.3;font-variant-numeric:tabular-nums}
dl{display:grid;grid-template-columns:max-content 1fr;gap:6px 24px;margin:0}dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
figure{margin:0}figcaption{margin:0 0 8px}
svg{width:100%;height:auto;display:block}.grid{stroke:var(--rule)}.tick{fill:var(--soft);font-size:12px}.tick.end{text-anchor:end}.tick.mid{text-anchor:middle}
.area{fill:var(--brand);opacity:.16}.line{fill:none;stroke:var(--brand);stroke-width:2}.bar{fill:var(--brand)}.bar.denied{fill:var(--ask)}
.key::before{content:"";display:inline-block;width:11px;height:11px;border-radius:2px;margin-right:6px;background:var(--brand)}.key.denied::before{background:var(--ask)}.key{margin-right:18px}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:14px;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:7px 14px 7px 0;border-bottom:1px solid var(--rule);vertical-align:top;overflow-wrap:anywhere}
th{color:var(--soft);font-weight:600;white-space:nowrap}td.n,th.n{text-align:right;white-space:nowrap}tr:last-child td{border-bottom:0}
th button{all:unset;cursor:pointer}th button:focus-visible{outline:2px solid var(--brand);outline-offset:2px}
th[aria-sort=ascending] button::after{content:" ▲"}th[aria-sort=descending] button::after{content:" ▼"}
.mark{display:inline-block;min-width:72px;text-align:center;border-radius:99px;padding:0 10px;font-size:13px;font-weight:600;color:var(--good);border:1px solid currentColor}
.mark.error{color:var(--bad)}.mark.warning{color:var(--ask)}.mark.info{color:var(--soft)}
.finding header{display:flex;flex-wrap:wrap;gap:6px 12px;align-items:center;margin-bottom:8px}.finding header .soft{margin-left:auto}
details{margin-top:8px}summary{cursor:pointer;color:var(--brand)}ul{margin:0;padding-left:20px}li{margin:0 0 6px;max-width:90ch}
a{color:var(--brand)}bdi{unicode-bidi:isolate}
@media(max-width:560px){dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:10px}}
@media print{:root{--ink:#000;--soft:#444;--paper:#fff;--card:#fff;--rule:#bbb;--brand:#2458b3;--bad:#b3261e;--ask:#9a5b00;--good:#1d7a46}main{max-width:none;padding:0}.finding header,figure,tr{break-inside:avoid}.scroll{overflow:visible}details::details-content{display:block;content-visibility:visible;block-size:auto}}
`

/** Numbers are sorted by `data-n`, which is beside the cell that shows them; everything else by what it shows. */
export const SCRIPT = `
'use strict'
for (const table of document.querySelectorAll('table.sorts')) {
  const heads = [...table.tHead.rows[0].cells]
  heads.forEach((head, column) => {
    const button = document.createElement('button')
    button.type = 'button'
    button.append(...head.childNodes)
    head.append(button)
    button.addEventListener('click', () => {
      const up = head.getAttribute('aria-sort') !== 'ascending'
      for (const other of heads) other.removeAttribute('aria-sort')
      head.setAttribute('aria-sort', up ? 'ascending' : 'descending')
      const body = table.tBodies[0]
      const keyed = [...body.rows].map((row) => {
        const cell = row.cells[column]
        return { row, key: 'n' in cell.dataset ? Number(cell.dataset.n) : cell.textContent }
      })
      const order = (a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)
      keyed.sort((a, b) => (up ? order(a, b) : order(b, a)))
      body.append(...keyed.map(({ row }) => row))
    })
  })
}
`
