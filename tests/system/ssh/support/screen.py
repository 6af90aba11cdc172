"""Draws the same screen for the same size and keys: what programs for terminals do, and nothing that changes by itself."""
import curses


def draw(screen, keys):
    rows, cols = screen.getmaxyx()
    screen.erase()
    screen.border()
    for row in range(1, rows - 1):
        for col in range(1, cols - 1):
            colour = curses.color_pair((row + col) % 7 + 1)
            screen.addch(row, col, ord("a") + (row * 7 + col) % 26, colour | (curses.A_BOLD if col % 5 == 0 else 0))
    screen.addstr(rows // 2, 3, f" {cols} x {rows} ", curses.A_REVERSE)
    screen.addstr(rows // 2 + 1, 3, f" keys: {' '.join(keys)} ünïcode ")
    screen.refresh()


def main(screen):
    curses.start_color()
    curses.use_default_colors()
    for pair in range(1, 8):
        curses.init_pair(pair, pair, -1)
    screen.keypad(True)
    keys = []
    while True:
        draw(screen, keys)
        key = screen.getch()
        if key == ord("q"):
            return
        if key == curses.KEY_RESIZE:
            curses.update_lines_cols()
            screen.clear()
        else:
            keys.append(curses.keyname(key).decode())


curses.wrapper(main)
