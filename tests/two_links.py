"""An arm of two rigid links: by its centres of mass, and an integrator of high order."""

import math
from itertools import pairwise

import numpy as np
from scipy.integrate import solve_ivp

from ndbmi_gym.perturbations import forces_of

TURN = np.array([[0.0, -1.0], [1.0, 0.0]])  # J of Eq 25


def jacobian(arm, q, along=None):
    """Of the hand, or of a point on the forearm at a distance from the elbow."""
    upper, fore = arm.lengths_cm[0], arm.lengths_cm[1] if along is None else along
    s1, c1, s12, c12 = math.sin(q[0]), math.cos(q[0]), math.sin(sum(q)), math.cos(sum(q))
    return np.array(
        [[-upper * s1 - fore * s12, -fore * s12], [upper * c1 + fore * c12, fore * c12]]
    )


def mass_matrix(arm, q):
    """M, from kinetic energy = sum of m·|v|²/2 + I·ω²/2 over the links."""
    of_upper = arm.centres_cm[0] * np.array([[-math.sin(q[0]), 0.0], [math.cos(q[0]), 0.0]])
    of_fore = jacobian(arm, q, arm.centres_cm[1])
    turning = np.array([[1.0, 0.0]]), np.array([[1.0, 1.0]])
    return sum(
        m * j.T @ j + i * w.T @ w
        for m, j, i, w in zip(arm.masses, (of_upper, of_fore), arm.inertias, turning, strict=True)
    )


def slopes_of_mass(arm, q, step=1e-5):
    """dM/dq, (2, 2, 2), last axis the joint, by differences of fourth order."""

    def at(d, k):
        return mass_matrix(arm, np.array(q) + k * step * np.eye(2)[d])

    by = [8 * (at(d, 1) - at(d, -1)) - (at(d, 2) - at(d, -2)) for d in range(2)]
    return np.stack(by, axis=-1) / (12 * step)


def christoffel(arm, q, w):
    """Coriolis and centrifugal torques by the symbols of the first kind."""
    slope = slopes_of_mass(arm, q)
    symbols = (slope + slope.transpose(0, 2, 1) - slope.transpose(2, 1, 0)) / 2
    return np.einsum("kij,i,j->k", symbols, w, w)


def lagrange(arm, q, w):
    """The same by d/dt ∂T/∂q′ − ∂T/∂q."""
    slope = slopes_of_mass(arm, q)
    return np.einsum("kjd,d,j->k", slope, w, w) - np.einsum("ijk,i,j->k", slope, w, w) / 2


def home(arm):
    return np.radians(arm.home_deg)


def hand(arm, q):
    upper, fore = arm.lengths_cm

    def from_shoulder(q):
        return upper * np.array([math.cos(q[0]), math.sin(q[0])]) + fore * np.array(
            [math.cos(sum(q)), math.sin(sum(q))]
        )

    return from_shoulder(q) - from_shoulder(home(arm))


def joints(arm, position):
    """By Newton's method from home: the branch of the elbow that home has."""
    q = home(arm)
    for _ in range(12):
        q = q - np.linalg.solve(jacobian(arm, q), hand(arm, q) - position)
    return q


def followed(arm, position, velocity, force, row=None, start=0.0):
    """Position and velocity after a step, by an integrator of high order.

    `force` is constant or a function of time.
    """
    row = forces_of()[0] if row is None else row
    j0 = jacobian(arm, home(arm))
    drag = arm.viscosity * j0.T @ j0
    q = joints(arm, position)
    state = np.concatenate((q, np.linalg.solve(jacobian(arm, q), velocity)))
    end = start + arm.step_s
    inner = [t for t in row[13:15] if start < t < end]
    times = [start, *inner, end]
    for since, until in pairwise(times):
        on = row[13] <= (since + until) / 2 < row[14]

        def motion(t, state, on=on):
            q, w = state[:2], state[2:]
            j = jacobian(arm, q)
            v, x = j @ w, hand(arm, q)
            acting = (force(t) if callable(force) else force) + on * (
                row[1:3]
                + row[3:7].reshape(2, 2) @ (x - row[7:9])
                + (row[9:13].reshape(2, 2) + row[0] * TURN) @ v
            )
            torque = j.T @ acting - drag @ w - christoffel(arm, q, w)
            return np.concatenate((w, np.linalg.solve(mass_matrix(arm, q), torque)))

        path = solve_ivp(motion, (since, until), state, "DOP853", rtol=1e-11, atol=1e-12)
        state = path.y[:, -1]
    q, w = state[:2], state[2:]
    return np.concatenate((hand(arm, q), jacobian(arm, q) @ w))
