"""A window on the screen that shows pictures."""

from ndbmi_gym.envs.canvas import RGBArray
from ndbmi_gym.envs.missing import require


class Window:
    """A window on the screen that shows pictures at a steady rate.

    Pygame has one window per process: two of these share it.

    Parameters
    ----------
    fps : float
        Frames per second that `show` waits for; 0 does not wait.
    title : str

    Raises
    ------
    gymnasium.error.DependencyNotInstalled
        If pygame is missing.
    """

    def __init__(self, fps: float, title: str = "ndbmi_gym") -> None:
        require("pygame")
        import pygame

        pygame.display.init()
        pygame.display.set_caption(title)
        self._fps = fps
        self._clock = pygame.time.Clock()

    def show(self, rgb: RGBArray) -> None:
        """Show a picture, ndarray (height, width, 3), and wait until its time is up."""
        import pygame

        size = (rgb.shape[1], rgb.shape[0])
        screen = pygame.display.get_surface()
        if screen is None or screen.get_size() != size:
            screen = pygame.display.set_mode(size)
        pygame.surfarray.blit_array(screen, rgb.swapaxes(0, 1))
        pygame.event.pump()  # a window whose events nobody takes is reported as hung
        pygame.display.flip()
        self._clock.tick(self._fps)

    @property
    def left(self) -> bool:
        """Whether somebody has asked to close it."""
        import pygame

        return bool(pygame.event.peek(pygame.QUIT))

    def close(self) -> None:
        """Close the window; harmless if it is closed already."""
        import pygame

        pygame.display.quit()
