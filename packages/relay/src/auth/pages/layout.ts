import { html, type Html } from './html.ts';

/** One look for every page of Burrow's own. No external resource; light and dark. */
const STYLE = `
:root{color-scheme:light dark;--bg:#f5f4f1;--card:#fff;--text:#1d1c1a;--soft:#66625b;--line:#e2dfd8;--accent:#b4531a;--on-accent:#fff;--code:#f5f4f1;--good:#1b7f4b;--wait:#9a6700;--bad:#b3261e;--shadow:0 1px 2px #0000000d,0 8px 24px #0000000f}
@media(prefers-color-scheme:dark){:root{--bg:#161513;--card:#1f1e1b;--text:#eeebe5;--soft:#a39e94;--line:#35322d;--accent:#f0955a;--on-accent:#1d1206;--code:#161513;--good:#5cc98f;--wait:#e0b04c;--bad:#ff8a80;--shadow:none}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;background:var(--bg);color:var(--text);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif;-webkit-text-size-adjust:100%}
a{color:var(--accent);text-underline-offset:.15em}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
.shell{max-width:34rem;margin:0 auto;padding:clamp(1.5rem,9vh,6rem) 1rem 3rem}
.shell.wide{max-width:52rem;padding-top:2rem}
.brand{display:flex;align-items:center;gap:.6rem;font-weight:650;letter-spacing:-.01em;margin:0 0 1.25rem}
.brand svg{width:1.75rem;height:1.75rem;color:var(--accent);flex:none}
.brand .end{margin-left:auto;display:flex;align-items:center;gap:.75rem;font-weight:400;font-size:.9rem;color:var(--soft)}
.card{background:var(--card);border:1px solid var(--line);border-radius:14px;padding:clamp(1.25rem,4vw,2rem);box-shadow:var(--shadow)}
h1{font-size:1.4rem;line-height:1.25;letter-spacing:-.02em;margin:0 0 .6rem;text-wrap:balance}
h2{font-size:1rem;margin:1.5rem 0 .4rem}
p{margin:0 0 .8rem}p:last-child{margin-bottom:0}
.soft{color:var(--soft)}.small{font-size:.875rem}
.who{display:inline-block;font-size:.78rem;font-weight:600;padding:.1rem .6rem;border:1px solid var(--line);border-radius:99px;color:var(--soft);margin-bottom:.8rem}
.compare{font:700 1.9rem/1.2 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;letter-spacing:.12em;text-align:center;background:var(--code);border:1px solid var(--line);border-radius:10px;padding:.9rem;margin:1rem 0}
.note{border-left:3px solid var(--bad);padding:.1rem 0 .1rem .8rem;margin:0 0 1rem}
.note.warn{border-color:var(--wait)}
.choice{display:flex;gap:.75rem;flex-wrap:wrap;margin:1.2rem 0 0}
.choice button{flex:1 1 8rem}
button.second{background:none;color:inherit;border-color:var(--line)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.3rem 1rem;margin:1.4rem 0 0;padding-top:1rem;border-top:1px solid var(--line);font-size:.85rem}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.86em}
pre{background:var(--code);border:1px solid var(--line);border-radius:8px;padding:.8rem 1rem;margin:.4rem 0 1rem;overflow-x:auto;line-height:1.5}
label{display:block;font-weight:600;font-size:.9rem;margin:0 0 .35rem}
input{width:100%;font:inherit;color:inherit;background:var(--bg);border:1px solid var(--line);border-radius:8px;padding:.6rem .8rem;margin:0 0 1rem}
button,.button{display:inline-block;font:inherit;font-weight:600;color:var(--on-accent);background:var(--accent);border:1px solid var(--accent);border-radius:8px;padding:.5rem 1.1rem;cursor:pointer;text-decoration:none}
form+p,form+form{margin-top:1.2rem}
button:hover,.button:hover{filter:brightness(1.07)}
button.quiet{background:none;color:inherit;border-color:var(--line);font-weight:500;padding:.25rem .75rem;font-size:.875rem}
.list{list-style:none;margin:0;padding:0}
.list li{display:grid;grid-template-columns:minmax(0,1fr) 12rem 5rem;align-items:center;gap:.2rem 1rem;padding:.9rem 0;border-top:1px solid var(--line)}
.list li:first-child{border-top:0}.list li:last-child{padding-bottom:0}
.list .name{font-weight:600;min-width:0;overflow-wrap:anywhere}.list .name small{display:block;font-weight:400;color:var(--soft)}
.list .button{justify-self:end}
.state{display:inline-flex;align-items:center;gap:.45rem;font-size:.875rem;color:var(--soft)}
@media(max-width:40rem){.list li{grid-template-columns:minmax(0,1fr) auto}.list .name{grid-area:1/1}.list .state{grid-area:2/1}.list .button{grid-area:1/2/3/3}}
.state::before{content:"";width:.55rem;height:.55rem;border-radius:50%;background:currentColor}
.state.good::before{background:var(--good)}.state.wait::before{background:var(--wait)}.state.bad::before{background:var(--bad)}
.bar{height:4px;border-radius:4px;background:var(--line);overflow:hidden;margin:1.2rem 0}
.bar::after{content:"";display:block;width:35%;height:100%;border-radius:4px;background:var(--accent);animation:go 1.6s ease-in-out infinite}
@keyframes go{from{transform:translateX(-110%)}to{transform:translateX(310%)}}
@media(prefers-reduced-motion:reduce){.bar::after{animation:none;width:100%;opacity:.5}}
`;

const MARK = html`<svg viewBox="0 0 32 32" fill="none" aria-hidden="true">
  <path d="M3 26a13 13 0 0 1 26 0" stroke="currentColor" stroke-width="3" stroke-linecap="round" />
  <path d="M10 26a6 6 0 0 1 12 0Z" fill="currentColor" />
  <path d="M2 26h28" stroke="currentColor" stroke-width="3" stroke-linecap="round" />
</svg>`;

export interface Page {
  readonly title: string;
  readonly body: Html;
  /** Of this page's Content-Security-Policy; styles and the script carry it. */
  readonly nonce: string;
  readonly wide?: boolean;
  /** Shown at the right of the top line. */
  readonly corner?: Html;
  /** Trusted text of ours, never built from input. */
  readonly script?: string;
  /** Seconds after which a browser without scripts loads the page again. */
  readonly refreshWithoutScript?: number;
}

export function renderPage(page: Page): string {
  const refresh =
    page.refreshWithoutScript === undefined
      ? undefined
      : html`<noscript
          ><meta http-equiv="refresh" content="${page.refreshWithoutScript}"
        /></noscript>`;
  const script =
    page.script === undefined
      ? undefined
      : html`<script nonce="${page.nonce}">
          ${{ markup: page.script }};
        </script>`;
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta name="robots" content="noindex" />
        <title>${page.title} · Burrow</title>
        ${refresh}
        <style nonce="${page.nonce}">
          ${{ markup: STYLE }}
        </style>
      </head>
      <body>
        <main class="shell${page.wide === true ? ' wide' : ''}">
          <div class="brand">${MARK}<span>Burrow</span>${page.corner}</div>
          ${page.body}
        </main>
        ${script}
      </body>
    </html> `.markup;
}
