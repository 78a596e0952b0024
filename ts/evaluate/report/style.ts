import { SafeHtml } from './html.js';

const LIGHT = `
  --paper: #faf9f7; --card: #ffffff; --tk-ink: #292524; --tk-muted: #78716c; --tk-line: #e7e5e4; --ember: #c2410c;
  --tk-model: #0f766e; --tk-train: #d08a1d; --tk-wrong: #c2410c; --tk-logistic: #b89b7d; --tk-majority: #d0ccc8; --tk-on-fill: #ffffff;
  --tk-series3: #2563a8; --tk-series4: #8a4fbf; --tk-series5: #b8860b; --tk-series6: #64748b;
  --good: #0f766e; --good-soft: #e2f3f0; --warn: #a16207; --warn-soft: #fdf3d7; --bad: #b91c1c; --bad-soft: #fde8e6;
  --info: #57534e; --info-soft: #efedea; --shadow: 0 1px 2px rgb(41 37 36 / 6%), 0 4px 16px rgb(41 37 36 / 5%);`;

const DARK = `
  --paper: #171412; --card: #211d1b; --tk-ink: #ece8e4; --tk-muted: #a39b94; --tk-line: #38322e; --ember: #fb8a4c;
  --tk-model: #14a394; --tk-train: #e5a83b; --tk-wrong: #ea6a2a; --tk-logistic: #96795c; --tk-majority: #5f5853; --tk-on-fill: #ffffff;
  --tk-series3: #6aa5e8; --tk-series4: #b98ae6; --tk-series5: #e0b84a; --tk-series6: #94a3b8;
  --good: #3ecfbe; --good-soft: #12322f; --warn: #eebf55; --warn-soft: #382c11; --bad: #f88379; --bad-soft: #3f1a17;
  --info: #b5aca4; --info-soft: #2d2825; --shadow: none;`;

/** The report's style sheet: one column on a phone, two beside each other on a desktop, light or dark as the reader's system. */
export const REPORT_STYLE = new SafeHtml(`
:root { color-scheme: light dark; ${LIGHT} }
@media (prefers-color-scheme: dark) { :root { ${DARK} } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--tk-ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  -webkit-text-size-adjust: 100%; }
main { max-width: 1120px; margin: 0 auto; padding: 28px 20px 56px; }
h1 { margin: 2px 0 4px; font-size: clamp(1.55rem, 4.5vw, 2.2rem); line-height: 1.15; letter-spacing: -.02em; overflow-wrap: anywhere; }
h2 { margin: 40px 0 12px; font-size: 1.2rem; letter-spacing: -.01em; }
h3 { margin: 0 0 10px; font-size: .95rem; font-weight: 600; }
p { margin: 0 0 10px; }
.brand { color: var(--ember); font-size: .8rem; font-weight: 700; letter-spacing: .09em; text-transform: uppercase; }
.muted { color: var(--tk-muted); }
.card { background: var(--card); border: 1px solid var(--tk-line); border-radius: 14px; box-shadow: var(--shadow); padding: 20px; }
.grid { display: grid; gap: 16px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); }
.verdict { display: grid; gap: 20px 36px; margin-top: 20px; grid-template-columns: minmax(190px, auto) 1fr; border-left: 6px solid var(--tone); }
.score { font-size: clamp(2.7rem, 9vw, 3.7rem); font-weight: 700; line-height: 1; letter-spacing: -.04em; color: var(--tone); white-space: nowrap; }
.score-label { margin: 8px 0 0; font-size: .85rem; color: var(--tk-muted); }
.headline { margin: 0 0 12px; font-size: 1.2rem; font-weight: 650; line-height: 1.3; }
.good { --tone: var(--good); --soft: var(--good-soft); } .warn { --tone: var(--warn); --soft: var(--warn-soft); }
.bad { --tone: var(--bad); --soft: var(--bad-soft); } .info { --tone: var(--info); --soft: var(--info-soft); }
.notes { margin: 0; padding: 0; list-style: none; display: grid; gap: 8px; }
.notes li { display: grid; grid-template-columns: 24px 1fr; gap: 10px; font-size: .95rem; line-height: 1.45; }
.mark { width: 22px; height: 22px; border-radius: 50%; background: var(--soft); color: var(--tone); font-size: 13px; font-weight: 700;
  line-height: 22px; text-align: center; }
.tiles { display: grid; gap: 12px; margin-top: 16px; grid-template-columns: repeat(auto-fit, minmax(min(46%, 232px), 1fr)); }
.tile { padding: 14px 16px; }
.tile b { display: block; font-size: 1.4rem; letter-spacing: -.02em; line-height: 1.25; font-variant-numeric: tabular-nums; }
.tile span { font-size: .82rem; color: var(--tk-muted); }
figure { margin: 0; } figure svg { display: block; margin: 0 auto; }
figcaption { margin-top: 8px; font-size: .85rem; color: var(--tk-muted); }
.scroll { overflow-x: auto; margin: 0 -4px; padding: 0 4px; }
table { width: 100%; border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
th { padding: 6px 14px 8px 0; color: var(--tk-muted); font-size: .8rem; font-weight: 600; text-align: left; white-space: nowrap; vertical-align: bottom; }
td { padding: 8px 14px 8px 0; border-top: 1px solid var(--tk-line); vertical-align: top; }
th:last-child, td:last-child { padding-right: 0; } th.n, td.n { text-align: right; white-space: nowrap; }
td.why { padding-left: 12px; } td.name { font-weight: 600; min-width: 110px; overflow-wrap: anywhere; } td small { display: block; font-weight: 400; color: var(--tk-muted); }
tr.ours td { background: linear-gradient(var(--good-soft), var(--good-soft)); } tr.ours td:first-child { border-radius: 8px 0 0 8px; }
tr.ours td:last-child { border-radius: 0 8px 8px 0; } .compare td:first-child, .compare th:first-child { padding-left: 10px; }
.compare td:last-child, .compare th:last-child { padding-right: 10px; }
.bar { display: block; min-width: 90px; height: 9px; margin-top: 7px; border-radius: 5px; background: var(--tk-line); overflow: hidden; }
.bar i { display: block; height: 100%; border-radius: 5px; background: var(--fill); }
.pill { display: inline-block; padding: 1px 9px; border-radius: 99px; background: var(--soft); color: var(--tone); font-size: .8rem; font-weight: 600; white-space: nowrap; }
.average td { color: var(--tk-muted); } tr.average td.name { font-weight: 400; }
.chips { display: flex; flex-wrap: wrap; gap: 6px; margin: 0; padding: 0; list-style: none; }
.chips li { padding: 2px 10px; border-radius: 99px; background: var(--info-soft); font-size: .84rem; overflow-wrap: anywhere; }
.split { display: flex; gap: 2px; height: 14px; margin: 4px 0 10px; border-radius: 7px; overflow: hidden; }
.split i { min-width: 3px; } .key { display: inline-block; width: 10px; height: 10px; margin-right: 7px; border-radius: 3px; }
dl { display: grid; grid-template-columns: minmax(110px, auto) 1fr; gap: 6px 18px; margin: 0; font-size: .92rem; }
dt { color: var(--tk-muted); } dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
details { margin-top: 14px; } details.figures { margin-top: 16px; padding-top: 14px; padding-bottom: 14px; } details.figures[open] summary { margin-bottom: 10px; } summary { cursor: pointer; font-weight: 600; }
pre { margin: 10px 0 0; padding: 14px 16px; overflow-x: auto; border-radius: 10px; background: var(--info-soft);
  font: .84rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
footer { margin-top: 44px; font-size: .84rem; color: var(--tk-muted); }
@media (max-width: 640px) { main { padding: 20px 14px 40px; } .card { padding: 16px; } .verdict { grid-template-columns: 1fr; } h2 { margin-top: 32px; }
  .tile { padding: 12px 14px; } .wide { display: none; } th, td { padding-right: 10px; } td.name { min-width: 92px; } .compare td.name { min-width: 134px; } td.why { min-width: 180px; } }
@media print { body { background: #fff; } .card { box-shadow: none; break-inside: avoid; } }
`);
