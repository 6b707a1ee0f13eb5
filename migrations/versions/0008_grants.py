"""Tables of the admin: what roles are allowed

Revision: 0008, after: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "admin_grant",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("role_id", sa.Integer(), nullable=False),
        sa.Column("model", sa.String(length=255), nullable=False),
        sa.Column("action", sa.String(length=80), nullable=False),
        sa.Column("columns", sa.Text()),
        sa.Column("is_denied", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("rule", sa.Text()),
        sa.ForeignKeyConstraint(
            ["role_id"],
            ["admin_role.id"],
            name=op.f("fk_admin_grant_role_id_admin_role"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_admin_grant")),
    )
    op.create_index(op.f("ix_admin_grant_role_id"), "admin_grant", ["role_id"])
    _appoint_all()


def _appoint_all() -> None:
    """Until now every account could do everything: it goes on being so."""
    user = sa.table("admin_user", sa.column("id"))
    role = sa.table(
        "admin_role",
        sa.column("id"),
        sa.column("name"),
        sa.column("description"),
    )
    member = sa.table("admin_user_role", sa.column("user_id"), sa.column("role_id"))
    grant = sa.table("admin_grant", sa.column("role_id"), sa.column("model"), sa.column("action"))
    name = "Administrators"
    named = role.c.name == name
    its_id = sa.select(role.c.id).where(named).scalar_subquery()
    op.execute(
        sa.insert(role).from_select(
            ["name", "description"],
            sa.select(sa.literal(name), sa.literal("May do everything.")).where(
                sa.exists(sa.select(user.c.id)), ~sa.exists(sa.select(role.c.id).where(named))
            ),
        )
    )
    op.execute(
        sa.insert(grant).from_select(
            ["role_id", "model", "action"],
            sa.select(role.c.id, sa.literal("*"), sa.literal("*")).where(
                named, sa.exists(sa.select(user.c.id))
            ),
        )
    )
    op.execute(
        sa.insert(member).from_select(
            ["user_id", "role_id"],
            sa.select(user.c.id, its_id).where(
                ~sa.exists(
                    sa.select(member.c.user_id).where(
                        member.c.user_id == user.c.id, member.c.role_id == its_id
                    )
                )
            ),
        )
    )


def downgrade() -> None:
    op.drop_table("admin_grant")
