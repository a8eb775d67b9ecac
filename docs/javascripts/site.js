// Wide tables are scrolled by the keyboard, too. The theme wraps them before the page has loaded.
window.addEventListener("load", () => {
  for (const wrap of document.querySelectorAll(".md-typeset__scrollwrap")) {
    wrap.tabIndex = 0;
  }
});
