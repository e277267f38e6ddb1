import { Markup } from './html';

/** The report's style: follows the reader's light or dark setting, prints well, needs no font or file. */
export const STYLE = new Markup(`
:root { color-scheme: light dark; --bg: #fbfbfa; --card: #fff; --ink: #1c1f23; --soft: #646b74; --line: #e3e5e8; --accent: #2563c9;
  --good: #1a7f4b; --good-bg: #e7f5ed; --bad: #b42318; --bad-bg: #fdecea; --warn: #9a6700; --warn-bg: #fff6db; --bar: #a9c3ef; --grid: #eceef0; }
@media (prefers-color-scheme: dark) { :root { --bg: #14161a; --card: #1c1f25; --ink: #e6e8eb; --soft: #9aa2ad; --line: #30353d; --accent: #7fb0ff;
  --good: #5fd394; --good-bg: #15301f; --bad: #ff8f85; --bad-bg: #3a1a18; --warn: #f0c14b; --warn-bg: #33290f; --bar: #3f659f; --grid: #262a31; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 28px 20px 60px; }
header { display: flex; flex-wrap: wrap; gap: 4px 16px; align-items: baseline; justify-content: space-between; }
h1 { font-size: 24px; line-height: 1.25; margin: 0; letter-spacing: -.01em; }
h2 { font-size: 16px; margin: 34px 0 10px; }
header p, .soft { color: var(--soft); margin: 0; }
.verdict { border-radius: 10px; padding: 14px 18px; margin: 18px 0; font-size: 17px; border: 1px solid; }
.verdict.good { color: var(--good); background: var(--good-bg); } .verdict.bad { color: var(--bad); background: var(--bad-bg); }
.verdict strong { display: block; } .verdict span { font-size: 15px; overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 10px; }
.tile, .card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 12px 14px; min-width: 0; }
.tile b { display: block; font-size: 21px; line-height: 1.3; letter-spacing: -.01em; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: 13px; overflow-wrap: anywhere; }
.verdict + pre + p { margin-bottom: 14px; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(440px, 100%), 1fr)); gap: 14px; align-items: start; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th { text-align: left; color: var(--soft); font-weight: 500; font-size: 13px; }
th, td { padding: 5px 10px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
tr:last-child > td { border-bottom: 0; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.text { overflow-wrap: anywhere; }
code, pre { font: 12.5px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 12px 14px; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; }
.timeline td { border-bottom: 0; padding-top: 3px; padding-bottom: 3px; }
.timeline tr.step > td { border-top: 1px solid var(--line); }
.timeline td.mark { width: 20px; padding-right: 6px; font-weight: 600; } .timeline td.name { white-space: nowrap; width: 1%; }
.timeline td.bar { min-width: 220px; width: 45%; padding-top: 7px; } .timeline svg { display: block; width: 100%; height: 12px; overflow: visible; }
.timeline tr.part td.name { padding-left: 14px; color: var(--soft); } .timeline tr.skipped td { color: var(--soft); }
.timeline .more { padding: 0 0 6px; color: var(--soft); font-size: 13px; overflow-wrap: anywhere; }
.passed .mark { color: var(--good); } .failed .mark { color: var(--bad); } .skipped .mark { color: var(--warn); }
rect.passed { fill: var(--bar); } rect.failed { fill: var(--bad); } rect.part { fill: var(--accent); opacity: .55; } rect.track { fill: var(--grid); }
.badge { display: inline-block; border-radius: 20px; padding: 0 9px; font-size: 13px; }
.badge.good { color: var(--good); background: var(--good-bg); } .badge.bad { color: var(--bad); background: var(--bad-bg); } .badge.warn { color: var(--warn); background: var(--warn-bg); }
.plot { width: 100%; height: auto; display: block; } .plot text { fill: var(--soft); font-size: 12px; }
.plot .grid { stroke: var(--grid); } .plot .ideal { stroke: var(--soft); stroke-dasharray: 5 4; } .plot circle { fill: var(--accent); opacity: .35; }
.confusion td, .confusion th { border: 1px solid var(--line); padding: 8px 10px; text-align: center; } .confusion td { position: relative; font-variant-numeric: tabular-nums; }
details { margin-top: 8px; } summary { cursor: pointer; color: var(--accent); }
footer { margin-top: 40px; padding-top: 12px; border-top: 1px solid var(--line); color: var(--soft); font-size: 13px; }
@media (max-width: 640px) { .timeline td.bar { display: none; } main { padding: 18px 12px 40px; } }
@media print { body { background: #fff; } .card, .tile { break-inside: avoid; } }
`);
