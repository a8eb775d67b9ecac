// The passage that a link leads to gets the focus, so that it is what is read on from.

document.querySelector(".passage.chosen")?.focus();
