// What a keyboard and a screen reader need besides: a name for the search, and a way to scroll wide tables.
document$.subscribe(() => {
  document.querySelector(".md-search").setAttribute("aria-label", "Search");
  requestAnimationFrame(() => {
    for (const wide of document.querySelectorAll(".md-typeset__scrollwrap")) wide.tabIndex = 0;
  });
});
